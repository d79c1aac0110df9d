"""google-cloud-pubsub: wrapped multi-callables, retries by google-api-core, both stacks, a streaming pull in threads."""

import asyncio

import grpc
import grpc.aio
from google.api_core import retry
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport, PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from server import Server, atold, told

with Server() as server:
    channel = grpc.insecure_channel(server.target)
    publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    told(publisher.create_topic, name="projects/p/topics/t")
    told(lambda: list(publisher.list_topics(project="projects/p", retry=retry.Retry(), timeout=30)))
    told(lambda: publisher.publish("projects/p/topics/t", b"x").result(timeout=30))
    subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    told(lambda: subscriber.pull(subscription="projects/p/subscriptions/s", max_messages=1))
    told(lambda: next(iter(subscriber.streaming_pull(iter([{"subscription": "s"}])))))
    channel.close()

    async def asynchronous():
        async with grpc.aio.insecure_channel(server.target) as other:
            client = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=other))
            await atold("get_topic", client.get_topic(topic="projects/p/topics/t"))

    asyncio.run(asynchronous())
    print(sorted(server.methods))
