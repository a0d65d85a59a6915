"""The public paths in responses of a candidate that sees other paths than the client: Location, Content-Location and
the paths of cookies, and X-Forwarded-Prefix in requests. Envoy has nothing for it but a script.

The script is `strangler.core.routing.rewrite` and `strangler.core.http.cookies` once more, function by function; a test
holds each against the other at a real Envoy.
"""

from collections.abc import Iterable
from typing import Final

from strangler.core.routing.rewrite import Rewrite
from strangler.core.settings import Url
from strangler.envoy.extensions import extension
from strangler.envoy.resources import Resource

_SCRIPT: Final = r"""
local function is_name(segment) return segment:sub(1, 1) == "{" and segment:sub(-1) == "}" end

local function cut(path, count)
  local head, start = {}, (path:find("/", 1, true) or #path + 1) + 1
  while #head < count do
    if start > #path + 1 then return head, "" end
    local slash = path:find("/", start, true)
    if slash == nil then
      head[#head + 1] = path:sub(start)
      return head, ""
    end
    head[#head + 1] = path:sub(start, slash - 1)
    start = slash + 1
  end
  if start > #path + 1 then return head, "" end
  return head, "/" .. path:sub(start)
end

local function captures(pattern, head)
  if #head ~= #pattern then return nil end
  local found = {}
  for at, expected in ipairs(pattern) do
    if is_name(expected) and head[at] ~= "" then
      found[expected] = head[at]
    elseif expected ~= head[at] then
      return nil
    end
  end
  return found
end

local function values_of(path)
  local head, found = (cut(path, #PUBLIC)), {}
  for at, segment in ipairs(PUBLIC) do
    if is_name(segment) then found[segment] = head[at] end
  end
  return found, head
end

local function filled(pattern, values)
  local path = ""
  for _, segment in ipairs(pattern) do path = path .. "/" .. (values[segment] or segment) end
  return path
end

local function public_path(path, request_path)
  local head, rest = cut(path, #OWN)
  local found = captures(OWN, head)
  if found == nil then return nil end
  local values = values_of(request_path)
  for name, value in pairs(found) do values[name] = value end
  local whole = filled(PUBLIC, values) .. rest
  return whole ~= "" and whole or "/"
end

local function forwarded_prefix(request_path)
  local values, head = values_of(request_path)
  local whole = ""
  for _, segment in ipairs(head) do whole = whole .. "/" .. segment end
  local seen = filled(OWN, values)
  if seen == "" then return whole end
  if whole:sub(-#seen) == seen then return whole:sub(1, #whole - #seen) end
  return whole
end

local function without_base(path)
  if path:sub(1, #BASE) ~= BASE then return nil end
  local rest = path:sub(#BASE + 1)
  if rest == "" then return "/" end
  return rest:sub(1, 1) == "/" and rest or nil
end

local function without_port(authority, scheme)
  authority = authority:lower()
  local port = ({http = ":80", https = ":443"})[scheme]
  if port and authority:sub(-#port) == port then return authority:sub(1, #authority - #port) end
  return authority
end

local function is_upstream(authority, scheme)
  for _, each in ipairs(UPSTREAMS) do
    if without_port(authority, scheme) == without_port(each, scheme) then return true end
  end
  return false
end

local function absolute(location)
  local scheme, rest = location:match("^([hH][tT][tT][pP][sS]?):(//.*)$")
  if scheme == nil then scheme, rest = "", location end
  local authority = rest:match("^//([^/?#@\\]*)")
  if authority == nil then return nil end
  local stop = #location - #rest + 2 + #authority
  local after = location:sub(stop + 1, stop + 1)
  if after ~= "" and not after:find("[/?#]") then return nil end
  return scheme:lower(), authority, stop
end

local function public_location(location, request_path, own)
  local front, start = "", 1
  if location:sub(1, 2) == "//" or location:sub(1, 1) ~= "/" then
    local scheme, authority, stop = absolute(location)
    if scheme == nil then return location end
    if without_port(authority, scheme) == without_port(own, scheme) then
      front = location:sub(1, stop)
    elseif not is_upstream(authority, scheme) then
      return location
    end
    start = stop + 1
  end
  local stop = location:find("[?#]", start) or #location + 1
  local path = location:sub(start, stop - 1)
  local inside = without_base(path ~= "" and path or "/")
  local public = inside and public_path(inside, request_path)
  if public == nil then return location end
  if front == "" and public:sub(2, 2):find("[/\\]") then return location end
  return front .. public .. location:sub(stop)
end

local function cookie_path(path, request_path)
  local inside = without_base(path)
  if inside == nil then return path end
  local own = filled(OWN, (values_of(request_path)))
  local above = inside:gsub("/+$", "") .. "/"
  if inside ~= "/" and (own .. "/"):sub(1, #above) == above then inside = own ~= "" and own or "/" end
  local public = public_path(inside, request_path)
  if public == nil then return inside end
  public = public:gsub("/+$", "")
  return public ~= "" and public or "/"
end

local function covers(domain, host)
  domain = domain:lower():gsub("^%.", "")
  return domain ~= "" and (host == domain or host:sub(-#domain - 1) == "." .. domain)
end

local function covers_upstream(domain)
  for _, host in ipairs(HOSTS) do
    if covers(domain, host) then return true end
  end
  return false
end

local function trimmed(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end

local function public_cookie(field, request_path, own)
  local host, kept = own:lower():gsub(":%d*$", ""), {}
  for text in (field .. ";"):gmatch("([^;]*);") do
    local name, value = text:match("^([^=]*)=?(.*)$")
    name, value = trimmed(name):lower(), trimmed(value)
    local is_kept = true
    if #kept > 0 and name == "path" and value:sub(1, 1) == "/" then
      local from, to = text:find(value, 1, true)
      text = text:sub(1, from - 1) .. cookie_path(value, request_path) .. text:sub(to + 1)
    elseif #kept > 0 and name == "domain" and covers_upstream(value) and not covers(value, host) then
      is_kept = false
    end
    if is_kept then kept[#kept + 1] = text end
  end
  return table.concat(kept, ";")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path"):gsub("[?#].*$", "")
  local kept = handle:streamInfo():dynamicMetadata()
  kept:set("strangler.gate", "path", path)
  kept:set("strangler.gate", "own", headers:get(":authority") or "")
  if #PUBLIC + #OWN > 0 then
    local prefix = forwarded_prefix(path)
    if prefix ~= "" then headers:replace("x-forwarded-prefix", prefix) end
  end
end

function envoy_on_response(handle)
  local headers, kept = handle:headers(), handle:streamInfo():dynamicMetadata():get("strangler.gate")
  if kept == nil then return end
  for _, name in ipairs({"location", "content-location"}) do
    local value = headers:get(name)
    if value ~= nil then headers:replace(name, public_location(value, kept.path, kept.own)) end
  end
  local count = headers:getNumValues("set-cookie")
  if count == 0 then return end
  local cookies = {}
  for at = 0, count - 1 do cookies[#cookies + 1] = headers:getAtIndex("set-cookie", at) end
  headers:remove("set-cookie")
  for _, cookie in ipairs(cookies) do headers:add("set-cookie", public_cookie(cookie, kept.path, kept.own)) end
end
"""


def public_path_filter(rewrite: Rewrite | None, urls: Iterable[Url]) -> Resource | None:
    """Return the filter of a gate whose upstream sees other paths than the client; None if it sees the same."""
    urls = list(urls)
    base = urls[0].path.rstrip("/")
    if rewrite is None and not base:
        return None
    public, own = ((), ()) if rewrite is None else (rewrite.public, rewrite.candidate)
    constants = {
        "PUBLIC": _list(segment.decode() for segment in public),
        "OWN": _list(segment.decode() for segment in own),
        "BASE": _text(base),
        "UPSTREAMS": _list(url.authority for url in urls),
        "HOSTS": _list(url.server_name.lower() for url in urls),
    }
    lines = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    return extension(
        "envoy.filters.http.lua", "filters.http.lua.v3.Lua", default_source_code={"inline_string": lines + _SCRIPT}
    )


def _list(texts: Iterable[str]) -> str:
    return "{" + ", ".join(map(_text, texts)) + "}"


def _text(text: str) -> str:
    """Return a string of Lua: each byte that is no letter or digit by its number."""
    return (
        '"'
        + "".join(chr(each) if chr(each).isalnum() and each < 128 else f"\\{each:03d}" for each in text.encode())
        + '"'
    )
