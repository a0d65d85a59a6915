# The proxy in a container: no compiler, no pip, no root, nothing written but the state folder.
#
#   docker build -t strangler .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -p 8080:8080 \
#     -v ./strangler:/etc/strangler -v strangler-state:/var/lib/strangler strangler
#
# Mount the folder that holds routes.yaml, not the file: a file that is mounted by itself stays the old one when an editor
# outside replaces it. With `:ro` everything works but `strangler shift`, `strangler diffs accept` and accepting on the
# dashboard, which write the file; so it does if user 10001 may not write it.
# routes.yaml listens on 0.0.0.0:8080 and keeps admin on port 8081; `state` may stay as it is.
# Any other command: docker run … strangler check -c /etc/strangler/routes.yaml

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev
COPY pyproject.toml setup.py README.md LICENSE ./
COPY strangler strangler
COPY legacy_stub legacy_stub
# The environment has no pip of its own; byte code is made now, because nothing can be written later.
# The hot path is compiled here; the compiler stays behind in this stage. `postgres`: a store that several nodes share.
RUN python -m venv --without-pip /opt/strangler \
 && STRANGLER_COMPILE=1 python -m pip --python /opt/strangler/bin/python install --no-cache-dir --compile ".[postgres]"

FROM python:3.11.14-slim-bookworm
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin strangler \
 && install -d -o 10001 -g 10001 /var/lib/strangler
COPY --from=build /opt/strangler /opt/strangler
ENV PATH=/opt/strangler/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/strangler
VOLUME /var/lib/strangler
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# With admin.tls a request in clear gets 400. On loopback no certificate has to be verified.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
  CMD ["python", "-c", "import http.client as h, ssl\ndef status(c): c.request('GET', '/healthz'); return c.getresponse().status\nat = ('127.0.0.1', 8081)\nfound = status(h.HTTPConnection(*at, timeout=2))\nif found == 400: found = status(h.HTTPSConnection(*at, timeout=2, context=ssl._create_unverified_context()))\nraise SystemExit(found != 200)"]
ENTRYPOINT ["strangler"]
CMD ["serve", "-c", "/etc/strangler/routes.yaml"]
