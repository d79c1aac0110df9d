"""grpc's own servicers and helpers, from their packages: health, reflection, channelz, rich status, testing."""

from concurrent import futures

import grpc
import grpc.aio

from tests.bootstrap.transparency.bench import attempt, case, failure, needed


class Serving:
    """A sync server with whatever *add* puts into it."""

    def __init__(self, add):
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        add(self.server)
        port = self.server.add_insecure_port("localhost:0")
        self.channel = grpc.insecure_channel(f"localhost:{port}")

    def __enter__(self):
        self.server.start()
        return self.channel

    def __exit__(self, *_):
        self.channel.close()
        self.server.stop(None).wait()


@case
def health_service():
    health, pb2, stubs = (needed("grpc_health.v1." + name) for name in ("health", "health_pb2", "health_pb2_grpc"))
    servicer = health.HealthServicer()
    servicer.set("mine", pb2.HealthCheckResponse.NOT_SERVING)
    with Serving(lambda server: stubs.add_HealthServicer_to_server(servicer, server)) as channel:
        stub = stubs.HealthStub(channel)
        seen = [str(stub.Check(pb2.HealthCheckRequest(service=name))) for name in ("", "mine")]
        seen.append(attempt(lambda: stub.Check(pb2.HealthCheckRequest(service="missing")))[2:4])
        watch = stub.Watch(pb2.HealthCheckRequest(service="mine"))
        seen.append(str(next(watch)))
        servicer.set("mine", pb2.HealthCheckResponse.SERVING)
        seen.append(str(next(watch)))
        servicer.enter_graceful_shutdown()
        seen.append(str(next(watch)))
        return [*seen, watch.cancel()]


@case
async def health_service_under_asyncio():
    health, pb2, stubs = (needed("grpc_health.v1." + name) for name in ("health", "health_pb2", "health_pb2_grpc"))
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    stubs.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    await servicer.set("mine", pb2.HealthCheckResponse.SERVING)
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        stub = stubs.HealthStub(channel)
        seen = [str(await stub.Check(pb2.HealthCheckRequest(service="mine")))]
        try:
            await stub.Check(pb2.HealthCheckRequest(service="missing"))
        except grpc.RpcError as error:
            seen.append(failure(error)[2:4])
        watch = stub.Watch(pb2.HealthCheckRequest(service="mine"))
        seen.append(str(await watch.read()))
        await servicer.enter_graceful_shutdown()
        seen += [str(await watch.read()), watch.cancel()]
    await server.stop(1)
    return seen


@case
def generated_stubs_and_static_calls():
    """Generated code: the stub's attributes, the servicer's base class, and the experimental static form."""
    pb2, stubs = needed("grpc_health.v1.health_pb2"), needed("grpc_health.v1.health_pb2_grpc")

    class Servicer(stubs.HealthServicer):
        def Check(self, request, context):  # noqa: N802 - the service's name for it
            return pb2.HealthCheckResponse(status=pb2.HealthCheckResponse.SERVING)

    with Serving(lambda server: stubs.add_HealthServicer_to_server(Servicer(), server)) as channel:
        stub = stubs.HealthStub(channel)
        request = pb2.HealthCheckRequest()
        return [
            sorted(vars(stub)),
            [type(one).__qualname__ for _, one in sorted(vars(stub).items())],
            str(stub.Check(request)),
            attempt(lambda: list(stub.Watch(request)))[2:4],
            attempt(lambda: stub.Check(b"wrong"))[:3],
        ]


@case
def reflection_service():
    reflection = needed("grpc_reflection.v1alpha.reflection")
    pb2, stubs = (needed("grpc_reflection.v1alpha." + name) for name in ("reflection_pb2", "reflection_pb2_grpc"))
    health = needed("grpc_health.v1.health_pb2")

    def add(server):
        reflection.enable_server_reflection(("grpc.health.v1.Health", reflection.SERVICE_NAME), server)

    with Serving(add) as channel:
        requests = [
            pb2.ServerReflectionRequest(list_services=""),
            pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
            pb2.ServerReflectionRequest(file_containing_symbol="missing"),
        ]
        answers = list(stubs.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests)))
        return [str(answers[0]), len(str(answers[1])) > 100, str(answers[2]), health.__name__]


@case
def channelz_service():
    channelz = needed("grpc_channelz.v1.channelz")
    pb2, stubs = (needed("grpc_channelz.v1." + name) for name in ("channelz_pb2", "channelz_pb2_grpc"))
    with Serving(channelz.add_channelz_servicer) as channel:
        stub = stubs.ChannelzStub(channel)
        servers = stub.GetServers(pb2.GetServersRequest(start_server_id=0)).server
        return [
            len(servers),
            servers[0].data.calls_started >= 1,
            attempt(lambda: stub.GetSubchannel(pb2.GetSubchannelRequest(subchannel_id=10**6)))[2],
        ]


@case
def rich_status():
    rpc_status, status_pb2 = needed("grpc_status.rpc_status"), needed("google.rpc.status_pb2")
    needed("google.rpc.code_pb2")

    def behavior(request, context):
        context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=5, message="mine")))

    def add(server):
        handler = grpc.unary_unary_rpc_method_handler(behavior)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", {"M": handler}),))

    with Serving(add) as channel:
        try:
            channel.unary_unary("/t.S/M")(b"a")
        except grpc.RpcError as error:
            found = rpc_status.from_call(error)
            return [failure(error)[2:5], str(found)]


@case
def testing_without_a_network():
    testing, health = needed("grpc_testing"), needed("grpc_health.v1.health_pb2")
    service = health.DESCRIPTOR.services_by_name["Health"]
    channel = testing.channel([service], testing.strict_real_time())

    def client():
        stub = needed("grpc_health.v1.health_pb2_grpc").HealthStub(channel)
        return stub.Check(health.HealthCheckRequest(service="mine"), metadata=(("k", "v"),))

    with futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client)
        metadata, request, rpc = channel.take_unary_unary(service.methods_by_name["Check"])
        rpc.send_initial_metadata(())
        rpc.terminate(health.HealthCheckResponse(status=1), (), grpc.StatusCode.OK, "")
        seen = [[list(pair) for pair in metadata or ()], str(request), str(answer.result(30))]

    class Servicer:
        def Check(self, request, context):  # noqa: N802 - the service's name for it
            context.set_trailing_metadata((("t", "1"),))
            return health.HealthCheckResponse(status=2)

    server = testing.server_from_dictionary({service: Servicer()}, testing.strict_real_time())
    made = server.invoke_unary_unary(service.methods_by_name["Check"], (), health.HealthCheckRequest(), None)
    response, trailing, code, details = made.termination()
    return [seen, str(response), [list(pair) for pair in trailing], str(code), details]
