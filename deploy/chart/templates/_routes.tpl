{{/* routes.yaml as far as the chart has to know it, as JSON: what listens where, and how long it drains. */}}
{{- define "strangler.routes" -}}
{{- $file := .Values.config.routes | fromYaml -}}
{{- $listen := $file.listen | default "127.0.0.1:8080" -}}
{{- $addresses := list -}}
{{- range (ternary $listen (list $listen) (kindIs "slice" $listen)) -}}
{{- $address := . -}}
{{- if kindIs "map" . -}}{{- $address = .address | default "" -}}{{- end -}}
{{- if not (hasPrefix "unix:" (toString $address)) -}}{{- $addresses = append $addresses (toString $address) -}}{{- end -}}
{{- end -}}
{{- $admin := ternary $file.admin dict (kindIs "map" $file.admin) -}}
{{- $receiver := ternary $file.receiver dict (kindIs "map" $file.receiver) -}}
{{- $limits := ternary $file.limits dict (kindIs "map" $file.limits) -}}
{{- dict
  "error" ($file.Error | default "")
  "listen" $addresses
  "admin" ($admin.listen | default "127.0.0.1:8081" | toString)
  "token" ($admin.token | default "" | toString)
  "tls" (not (empty $admin.tls))
  "receiver" ($receiver.listen | default "" | toString)
  "state" ($file.state | default ".strangler" | toString)
  "store" ($file.store | default "sqlite" | toString)
  "node" ($file.node | default "" | toString)
  "drain" (ternary $limits.drain "30s" (hasKey $limits "drain") | toString)
  | toJson -}}
{{- end -}}

{{/* limits.drain in whole seconds; empty if the chart cannot read it. */}}
{{- define "strangler.drainSeconds" -}}
{{- if .Values.config.existingConfigMap -}}30
{{- else -}}
{{- $drain := (include "strangler.routes" . | fromJson).drain -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- if eq $drain "0" -}}0
{{- else if regexMatch "^[0-9]+([.][0-9]+)?(ms|s|m|h|d)$" $drain -}}
{{- mulf (regexFind "^[0-9.]+" $drain | float64) (get $units (regexFind "[a-z]+$" $drain)) | ceil | int -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The proxy needs limits.drain and five seconds; ten more are for a machine that is busy. */}}
{{- define "strangler.graceSeconds" -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- int . -}}
{{- else -}}
{{- add (int .Values.preStopSeconds) (include "strangler.drainSeconds" . | int) 15 -}}
{{- end -}}
{{- end -}}

{{/* What needs new pods when it changes; all else in routes.yaml the running proxy follows by itself. */}}
{{- define "strangler.restartDigest" -}}
{{- if not .Values.config.existingConfigMap -}}
{{- pick (include "strangler.routes" . | fromJson) "listen" "admin" "receiver" "state" "store" "node" | toJson | sha256sum -}}
{{- end -}}
{{- end -}}
