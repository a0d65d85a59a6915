"""The callers of an endpoint: families of User-Agent, or the values of a field that the operator names.

The worker names the caller, remembering the names of the last user agents; only the name leaves it. No comments, no
versions beyond the major one: neither devices nor people can be told apart by a name.
"""

import re
from urllib.parse import unquote

from strangler.core.ledger.value_forms import is_token, is_value
from strangler.core.privacy.secrets import formed_spans

NONE = "(none)"
OTHER = "(other)"
MAX_NAME = 40
"""The longest name of a caller, in characters."""
_MAX_READ = 512

_BOT = re.compile(
    r"(?<![\w-])([A-Za-z][\w-]{0,30}?(?:bot|crawler|spider)|slurp|[A-Za-z][\w-]{0,30}?monitor)(?![a-z])", re.IGNORECASE
)
_KNOWN = (
    ("facebookexternalhit", "facebookexternalhit"), ("meta-externalagent", "meta-externalagent"),
    ("WhatsApp/", "WhatsApp"), ("APIs-Google", "APIs-Google"), ("Mediapartners-Google", "Mediapartners-Google"),
    ("Google-Read-Aloud", "Google-Read-Aloud"), ("GoogleHC/", "GoogleHC"), ("GoogleOther", "GoogleOther"),
    ("Lighthouse", "Lighthouse"), ("ELB-HealthChecker", "ELB-HealthChecker"), ("Amazon-Route53", "Amazon-Route53"),
    ("Amazon CloudFront", "Amazon CloudFront"), ("kube-probe/", "kube-probe"), ("Prometheus/", "Prometheus"),
    ("Blackbox Exporter", "Blackbox Exporter"), ("Blackbox-Exporter", "Blackbox Exporter"),
    ("check_http/", "check_http"),
    ("Pingdom", "Pingdom"), ("UptimeRobot", "UptimeRobot"), ("StatusCake", "StatusCake"), ("Site24x7", "Site24x7"),
    ("Datadog", "Datadog"), ("NewRelicPinger", "New Relic"), ("Zabbix", "Zabbix"), ("Uptime-Kuma", "Uptime-Kuma"),
    ("BetterStack", "Better Stack"), ("Better Uptime", "Better Stack"), ("HealthChecker", "HealthChecker"),
    ("ia_archiver", "ia_archiver"), ("Nessus", "Nessus"), ("Nmap Scripting", "Nmap"), ("sqlmap/", "sqlmap"),
    ("zgrab/", "zgrab"), ("masscan", "masscan"), ("Nikto", "Nikto"), ("Siege/", "Siege"),
)  # fmt: skip
"""Programs without a word such as `bot` in their names: the text that tells, and the name."""
_BROWSERS = (
    ("HeadlessChrome/", "HeadlessChrome"), ("Electron/", "Electron"), ("Edg", "Edge"), ("OPR/", "Opera"),
    ("Opera", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"), ("UCBrowser/", "UC Browser"), ("DuckDuckGo/", "DuckDuckGo"), ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"), ("SeaMonkey/", "SeaMonkey"), ("; wv)", "Android WebView"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Chromium/", "Chrome"), ("Trident/", "Internet Explorer"), ("MSIE ", "Internet Explorer"),
    ("Version/", "Safari"), ("Safari/", "Safari"), ("Mobile/", "iOS WebView"), ("WindowsPowerShell/", "PowerShell"),
    ("PowerShell/", "PowerShell"), ("Thunderbird/", "Thunderbird"),
)  # fmt: skip
"""Browsers in the order in which they are looked for: each also names those that it imitates."""
_PRODUCT = re.compile(r"([A-Za-z][\w.+-]*(?: [A-Za-z][\w.+-]*){0,2})/v?(\d{1,4})(?:\.(\d{1,3}))?")
_NAME = re.compile(r"[A-Za-z][\w.+-]*")
_RUNTIMES = frozenset({"python", "ruby", "node", "node.js", "php", "java", "dotnet", "dart", "perl", "linux"})
"""Products that say what a program is written in; the next product is the program."""


def caller_of(user_agent: str) -> str:
    """Return the family of a User-Agent: `Firefox`, `okhttp/4`, `Googlebot`, `(none)`."""
    text = user_agent[:_MAX_READ].strip()
    if text in ("", "-"):
        return NONE
    known = next((name for sign, name in _KNOWN if sign in text), None)
    if known is not None:
        return known
    bot = _BOT.search(text)
    if bot:
        return _safe(bot[1])
    if text.startswith(("Mozilla/", "Opera/")):
        return next((name for sign, name in _BROWSERS if sign in text), "Mozilla")
    return _program(unquote(text).partition("(")[0])


def _program(text: str) -> str:
    """Return the name and the major version of the first product that is no mere runtime."""
    products = list(_PRODUCT.finditer(text))
    first = next((found for found in products if found[1].lower() not in _RUNTIMES), products[0] if products else None)
    if first is None or (first is products[0] and not text.startswith(first[0])):
        name = _NAME.match(text)
        return _safe(name[0]) if name else OTHER
    major = first[3] if first[1] == "Java" and first[2] == "1" and first[3] else first[2]
    name_text = _safe(first[1])
    return name_text if name_text == OTHER else f"{name_text}/{major}"


def _safe(name: str) -> str:
    """Return a name unless it may be personal or a key."""
    return OTHER if len(name) > MAX_NAME or is_value(name) or is_token(name) else name


def named_caller(value: str) -> str:
    """Return the name of a caller whose field the operator has named (`ledger.callers: x-client-id`)."""
    text = "".join(char if char.isprintable() else "?" for char in value[:_MAX_READ].strip())
    if not text:
        return NONE
    if formed_spans(text) or (is_token(text) and len(text) >= 16):
        return OTHER
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
