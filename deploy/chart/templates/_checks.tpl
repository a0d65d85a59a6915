{{/* Everything that does not fit together, all at once. Nothing is rendered then. */}}
{{- define "strangler.check" -}}
{{- $problems := concat (include "strangler.problemsOfValues" . | fromJsonArray) (include "strangler.problemsOfRoutes" . | fromJsonArray) -}}
{{- if $problems -}}
{{- printf "\n- %s\n" (join "\n- " $problems) | fail -}}
{{- end -}}
{{- end -}}

{{- define "strangler.problemsOfValues" -}}
{{- $found := list -}}
{{- $postgresql := eq .Values.store.kind "postgresql" -}}
{{- if and (include "strangler.isFleet" .) (not $postgresql) -}}
{{- $found = append $found "replicas or autoscaling: several nodes need a shared store, or each has its own evidence, positions and kill switch; say `store.kind: postgresql`, or `replicas: 1`" -}}
{{- end -}}
{{- if and $postgresql (not .Values.store.postgresql.host) -}}
{{- $found = append $found "store.postgresql.host: empty; name the server" -}}
{{- end -}}
{{- if and .Values.secret.create (not .Values.secret.token) -}}
{{- $found = append $found "secret.token: empty; the admin listener of a pod needs a token (`openssl rand -hex 32`)" -}}
{{- end -}}
{{- if and .Values.secret.create $postgresql (lt (len .Values.secret.storeSecret) 16) -}}
{{- $found = append $found "secret.storeSecret: fewer than 16 characters; it seals the keys that nodes share (`openssl rand -hex 32`)" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- $found = append $found "networkPolicy.egress: empty; the proxy could reach no upstream" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $found = append $found "autoscaling.minReplicas: greater than maxReplicas" -}}
{{- end -}}
{{- $drain := include "strangler.drainSeconds" . -}}
{{- $least := add (int .Values.preStopSeconds) (int $drain) 6 -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- if and $drain (lt (int .) (int $least)) -}}
{{- $found = append $found (printf "terminationGracePeriodSeconds: %d; preStopSeconds, limits.drain and the proxy's own five seconds need at least %d, or requests under way are cut" (int .) $least) -}}
{{- end -}}
{{- else -}}
{{- if not $drain -}}
{{- $found = append $found "terminationGracePeriodSeconds: 0, and limits.drain of config.routes is no such time as 30s; say how many seconds a pod may take to end" -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{- define "strangler.problemsOfRoutes" -}}
{{- $found := list -}}
{{- if not .Values.config.existingConfigMap -}}
{{- $routes := include "strangler.routes" . | fromJson -}}
{{- if $routes.error -}}
{{- $found = append $found (printf "config.routes: no YAML: %s" $routes.error) -}}
{{- else -}}
{{- $ports := list -}}
{{- range .Values.listeners -}}{{- $ports = append $ports (toString .port) -}}{{- end -}}
{{- range $routes.listen -}}
{{- $found = concat $found (include "strangler.problemsOfAddress" (dict "key" "listen" "address" .) | fromJsonArray) -}}
{{- $port := regexFind "[0-9]+$" . -}}
{{- if and $port (not (has $port $ports)) -}}
{{- $found = append $found (printf "config.routes: listen has port %s, and `listeners` has not; add {name: …, port: %s}" $port $port) -}}
{{- end -}}
{{- end -}}
{{- range $ports -}}
{{- $port := . -}}
{{- $listens := false -}}
{{- range $routes.listen -}}{{- if eq $port (regexFind "[0-9]+$" .) -}}{{- $listens = true -}}{{- end -}}{{- end -}}
{{- if not $listens -}}
{{- $found = append $found (printf "listeners: port %s, where nothing listens; `listen` of config.routes has %s" $port (join ", " $routes.listen)) -}}
{{- end -}}
{{- end -}}
{{- $found = concat $found (include "strangler.problemsOfAddress" (dict "key" "admin.listen" "address" $routes.admin "port" .Values.admin.port "value" "admin.port") | fromJsonArray) -}}
{{- if not $routes.token -}}
{{- $found = append $found "config.routes: admin.token is missing; write token: \"${STRANGLER_TOKEN}\", which the chart sets from the Secret" -}}
{{- end -}}
{{- if ne $routes.tls .Values.admin.tls -}}
{{- $found = append $found (printf "admin.tls: %v, and config.routes says otherwise; probes would fail" .Values.admin.tls) -}}
{{- end -}}
{{- if .Values.receiver.enabled -}}
{{- if $routes.receiver -}}
{{- $found = concat $found (include "strangler.problemsOfAddress" (dict "key" "receiver.listen" "address" $routes.receiver "port" .Values.receiver.port "value" "receiver.port") | fromJsonArray) -}}
{{- else -}}
{{- $found = append $found (printf "receiver.enabled: true, and config.routes has no receiver; write receiver: {listen: \"[::]:%d\"}" (int .Values.receiver.port)) -}}
{{- end -}}
{{- else if $routes.receiver -}}
{{- $found = append $found "receiver.enabled: false, and config.routes has a receiver; no Service would lead to it" -}}
{{- end -}}
{{- if not (regexMatch "^([^/$]|/var/lib/strangler(/|$))" $routes.state) -}}
{{- $found = append $found (printf "config.routes: state is %s; a pod can write to /var/lib/strangler only" $routes.state) -}}
{{- end -}}
{{- $shares := or (regexMatch "\\$\\{STRANGLER_STORE[}:]" $routes.store) (regexMatch "^postgres(ql)?://" $routes.store) -}}
{{- if and (eq .Values.store.kind "postgresql") (not $shares) -}}
{{- $found = append $found "store.kind: postgresql, and config.routes has no `store`; write store: \"${STRANGLER_STORE}\", which the chart sets" -}}
{{- end -}}
{{- if and (eq .Values.store.kind "sqlite") (regexMatch "^postgres(ql)?://" $routes.store) -}}
{{- $found = append $found "store.kind: sqlite, and config.routes names a server; say `store.kind: postgresql`" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* key: of routes.yaml; address: there; port and value: the port that it must have, and the value that says so. */}}
{{- define "strangler.problemsOfAddress" -}}
{{- $found := list -}}
{{- $port := regexFind "[0-9]+$" .address -}}
{{- if not $port -}}
{{- $found = append $found (printf "config.routes: %s is %s; the chart has to know the port: write it out" .key .address) -}}
{{- else if regexMatch "^(127\\.|localhost:|\\[::1\\])" .address -}}
{{- $found = append $found (printf "config.routes: %s is %s, which nothing outside the pod reaches; write \"[::]:%s\"" .key .address $port) -}}
{{- else if and .port (ne $port (toString .port)) -}}
{{- $found = append $found (printf "%s: %d, and %s of config.routes has port %s" .value (int .port) .key $port) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}
