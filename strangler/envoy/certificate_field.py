"""The field Client-Cert (RFC 9440): Envoy has a certificate as URL-encoded PEM, and RFC 9440 wants its DER in Base64,
which PEM has between its lines."""

from typing import Final

from strangler.envoy.extensions import extension
from strangler.envoy.resources import Resource

_SCRIPT: Final = """
function envoy_on_request(handle)
  local tls = handle:streamInfo():downstreamSslConnection()
  if tls == nil or not tls:peerCertificatePresented() then return end
  local pem = tls:urlEncodedPemEncodedPeerCertificate():gsub("%%(%x%x)", function(code)
    return string.char(tonumber(code, 16))
  end)
  local body = pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END CERTIFICATE%-%-%-%-%-")
  if body ~= nil then
    handle:headers():replace("client-cert", ":" .. body:gsub("%s", "") .. ":")
  end
end
"""


def certificate_filter() -> Resource:
    """Return the filter that names a client's verified certificate to upstreams."""
    return extension(
        "envoy.filters.http.lua",
        "filters.http.lua.v3.Lua",
        default_source_code={"inline_string": _SCRIPT},
    )
