{{/* Names, labels and the pieces that the Deployment and the uninstall Job share. Names leave room for a suffix. */}}

{{- define "grpctracing.name" -}}
{{- printf "%s-grpctracing-operator" .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* Of objects outside of namespaces: with a selector, releases of one name may be in several namespaces. */}}
{{- define "grpctracing.clusterName" -}}
{{- include "grpctracing.name" . }}{{ with .Values.namespaceSelector }}-{{ $.Release.Namespace }}{{ end }}
{{- end -}}

{{- define "grpctracing.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "grpctracing.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "grpctracing.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
Fails where another release works already in what this one would work in. Asked of the cluster, so not by `helm template`; the
operator asks again at its start, and it alone knows whether two selectors may select the same namespace. A release sees itself on upgrade and rollback, and is no other.
*/}}
{{- define "grpctracing.alone" -}}
{{- $bindings := list -}}
{{- if .Values.watchNamespaces -}}
{{- range .Values.watchNamespaces -}}
{{- $bindings = concat $bindings ((lookup "rbac.authorization.k8s.io/v1" "RoleBinding" . "").items | default list) -}}
{{- end -}}
{{- else -}}
{{- $bindings = (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "").items | default list -}}
{{- $bindings = concat $bindings ((lookup "rbac.authorization.k8s.io/v1" "RoleBinding" "" "").items | default list) -}}
{{- end -}}
{{- range $bindings -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/name") "grpctracing-operator") (not (hasSuffix "-own" .metadata.name)) -}}
{{- $subject := first .subjects -}}
{{- $release := get $labels "app.kubernetes.io/instance" -}}
{{- $selector := get (.metadata.annotations | default dict) "grpctracing.dev/namespace-selector" -}}
{{- $apart := and $.Values.namespaceSelector (ne $.Values.namespaceSelector $selector) (or $selector (eq .kind "RoleBinding")) -}}
{{- if and (or (ne $release $.Release.Name) (ne $subject.namespace $.Release.Namespace)) (not $apart) -}}
{{- $where := ternary (printf "namespace %s" .metadata.namespace) "all namespaces" (eq .kind "RoleBinding") -}}
{{- if $selector -}}{{- $where = printf "namespaces with the labels %q" $selector -}}{{- end -}}
{{- fail (printf "\n\nRelease %q in namespace %s works in %s already. Two operators would undo each other: upgrade that one, or give each its own watchNamespaces or namespaceSelector (docs/operations.md).\n" $release $subject.namespace $where) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of the operator's pods only: the Job of the hook must not get traffic or count for the budget. */}}
{{- define "grpctracing.selector" -}}
app.kubernetes.io/name: grpctracing-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "grpctracing.labels" -}}
app.kubernetes.io/name: grpctracing-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: grpctracing
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "grpctracing.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "grpctracing.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end -}}

{{- define "grpctracing.env" -}}
{{- if and .Values.watchNamespaces .Values.namespaceSelector -}}
{{- fail "\n\nwatchNamespaces and namespaceSelector are both set; set one of them: names of namespaces, or labels (docs/operations.md).\n" -}}
{{- end -}}
- name: GRPCTRACING_WATCH_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: GRPCTRACING_NAMESPACE_SELECTOR
  value: {{ .Values.namespaceSelector | quote }}
- name: GRPCTRACING_COLLECTOR_IMAGE
  value: {{ .Values.collectorImage | quote }}
- name: GRPCTRACING_HTTP_PORT
  value: "8080"
- name: GRPCTRACING_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: GRPCTRACING_RESYNC_SECONDS
  value: {{ .Values.resyncSeconds | quote }}
- name: GRPCTRACING_OPERATOR_DEPLOYMENT
  value: {{ printf "%s/%s" .Release.Namespace (include "grpctracing.name" .) | quote }}
- name: GRPCTRACING_LEASE
  value: {{ printf "%s/%s" .Release.Namespace (include "grpctracing.name" .) | quote }}
- name: GRPCTRACING_LEASE_SECONDS
  value: {{ .Values.leaderElection.leaseSeconds | quote }}
{{- with .Values.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "grpctracing.podCommon" -}}
serviceAccountName: {{ include "grpctracing.serviceAccount" . }}
enableServiceLinks: false
securityContext:
  {{- include "grpctracing.podSecurityContext" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 16Mi}
{{- end -}}

{{- define "grpctracing.containerCommon" -}}
image: {{ include "grpctracing.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- include "grpctracing.env" . | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "grpctracing.containerSecurityContext" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* What the operator does in a namespace that it works in, and nothing else. No Secret, no RBAC object. */}}
{{- define "grpctracing.rules" -}}
- apiGroups: [grpctracing.dev]
  resources: [grpctracings]
  verbs: [get, list, watch, patch]
- apiGroups: [grpctracing.dev]
  resources: [grpctracings/status]
  verbs: [patch]
- apiGroups: [grpctracing.dev]
  resources: [grpctracings/finalizers] # owner references that block deletion
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments] # patch: those that are traced; create and delete: the Collector
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  # Preflight pods: made, read, deleted; nothing is ever written to another pod. get, list: also to see why
  # a rollout stands still and whose spans have arrived. delete: also a pod that broke with the injection, for which a
  # StatefulSet would wait for ever, or which came through a policy.
  resources: [pods]
  verbs: [get, list, create, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets] # of a Collector with more than one replica; users' are only read
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions] # which pods are new: why a rollout stands still, whose spans have arrived
  verbs: [list]
- apiGroups: [coordination.k8s.io]
  resources: [leases] # whether another operator works here
  verbs: [list]
{{- end -}}

{{/* What namespaceSelector needs besides. */}}
{{- define "grpctracing.selectorRules" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
{{- end -}}

{{/* What `spec.rollout.strategy: Admission` needs besides. */}}
{{- define "grpctracing.admissionRules" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingadmissionpolicies, mutatingadmissionpolicybindings]
  verbs: [get, list, create, patch, delete]
{{- end -}}

{{/* What `spec.rollout.restartExisting` needs besides that. */}}
{{- define "grpctracing.restartRules" -}}
- apiGroups: [""]
  resources: [pods/eviction] # obeys disruption budgets, which the right to delete does not
  verbs: [create]
{{- end -}}
