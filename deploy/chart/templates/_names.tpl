{{- define "strangler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The names of all objects begin with this; the longest ending is -receiver. */}}
{{- define "strangler.fullname" -}}
{{- $name := include "strangler.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "strangler.selector" -}}
app.kubernetes.io/name: {{ include "strangler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "strangler.labels" -}}
app.kubernetes.io/name: {{ include "strangler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "strangler.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "strangler.secret" -}}
{{- default (include "strangler.fullname" .) .Values.secret.name -}}
{{- end -}}

{{- define "strangler.configMap" -}}
{{- default (printf "%s-routes" (include "strangler.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{- define "strangler.claim" -}}
{{- default (printf "%s-state" (include "strangler.fullname" .)) .Values.store.sqlite.existingClaim -}}
{{- end -}}

{{- define "strangler.serviceAccount" -}}
{{- default (ternary (include "strangler.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What STRANGLER_STORE holds. The password is in PGPASSWORD, never here. */}}
{{- define "strangler.store" -}}
{{- if eq .Values.store.kind "postgresql" -}}
{{- with .Values.store.postgresql -}}
postgresql://{{ urlquery .user | replace "+" "%20" }}@{{ .host }}:{{ .port }}/{{ urlquery .database | replace "+" "%20" }}?sslmode={{ .sslmode }}
{{- end -}}
{{- else -}}
sqlite
{{- end -}}
{{- end -}}

{{/* "true" if there may be more than one pod at the same time, but for a rollout of the Deployment. */}}
{{- define "strangler.isFleet" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}true{{- end -}}
{{- end -}}
