"""The families of User-Agent: what calls, and nothing about whom."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.callers import MAX_NAME, NONE, OTHER, caller_of, named_caller

WIN = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
DROID = "Mozilla/5.0 (Linux; Android 14; SM-S918B"
SEEN = {
    "": NONE,
    "-": NONE,
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0": "Firefox",
    PHONE + "FxiOS/125.0 Mobile/15E148 Safari/605.1.15": "Firefox",
    WIN + "Chrome/124.0.0.0 Safari/537.36": "Chrome",
    PHONE + "CriOS/124.0.6367.88 Mobile/15E148 Safari/604.1": "Chrome",
    WIN + "Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0": "Edge",
    WIN + "Chrome/51.0.2704.79 Safari/537.36 Edge/14.14393": "Edge",
    WIN + "Chrome/123.0.0.0 Safari/537.36 OPR/109.0.0.0": "Opera",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18": "Opera",
    MAC + "Version/17.4.1 Safari/605.1.15": "Safari",
    PHONE + "Version/17.4 Mobile/15E148 Safari/604.1": "Safari",
    PHONE + "Mobile/15E148": "iOS WebView",
    DROID + ") AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/24.0 Chrome/117.0.0.0 Mobile Safari/537.36": (
        "Samsung Internet"
    ),
    DROID + "; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/124.0 Mobile Safari/537.36": (
        "Android WebView"
    ),
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko": "Internet Explorer",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.0)": "Internet Explorer",
    WIN + "HeadlessChrome/124.0.0.0 Safari/537.36": "HeadlessChrome",
    MAC + "Slack/4.37 Chrome/122.0 Electron/29.1 Safari/537.36": "Electron",
    "Mozilla/5.0": "Mozilla",
    "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4291": "PowerShell",
    # bots and monitors
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    DROID + ") Chrome/124.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": (
        "Googlebot"
    ),
    "Googlebot-Image/1.0": "Googlebot",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": "bingbot",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)": "YandexBot",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)": "Baiduspider",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)": "Slurp",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)": "GPTBot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)": (
        "ClaudeBot"
    ),
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "facebookexternalhit",
    "Twitterbot/1.0": "Twitterbot",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "Slackbot",
    "WhatsApp/2.23.20.0": "WhatsApp",
    "kube-probe/1.29": "kube-probe",
    "ELB-HealthChecker/2.0": "ELB-HealthChecker",
    "GoogleHC/1.0": "GoogleHC",
    "Prometheus/2.51.1": "Prometheus",
    "Blackbox Exporter/0.24.0": "Blackbox Exporter",
    "check_http/v2.3.3 (monitoring-plugins 2.3.3)": "check_http",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)": "UptimeRobot",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)": "Pingdom",
    "Datadog/Synthetics": "Datadog",
    "acme-price-crawler/3.1 (ops@acme.example)": "acme-price-crawler",
    # libraries, programs, apps
    "okhttp/4.12.0": "okhttp/4",
    "curl/8.5.0": "curl/8",
    "Wget/1.21.4": "Wget/1",
    "python-requests/2.31.0": "python-requests/2",
    "python-httpx/0.27.0": "python-httpx/0",
    "Python-urllib/3.11": "Python-urllib/3",
    "Python/3.11 aiohttp/3.9.5": "aiohttp/3",
    "axios/1.6.8": "axios/1",
    "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)": "node-fetch/1",
    "node": "node",
    "undici": "undici",
    "Go-http-client/2.0": "Go-http-client/2",
    "Java/17.0.10": "Java/17",
    "Java/1.8.0_402": "Java/8",
    "Apache-HttpClient/4.5.14 (Java/17.0.10)": "Apache-HttpClient/4",
    "Apache-CXF/3.5.5": "Apache-CXF/3",
    "PHP-SOAP/8.2.18": "PHP-SOAP/8",
    "GuzzleHttp/7": "GuzzleHttp/7",
    "Faraday v2.9.0": "Faraday",
    "Ruby": "Ruby",
    "rest-client/2.1.0 (linux x86_64) ruby/3.2.2p53": "rest-client/2",
    "PostmanRuntime/7.37.3": "PostmanRuntime/7",
    "insomnia/8.6.1": "insomnia/8",
    "RestSharp/110.2.0.0": "RestSharp/110",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17425; Pro)": "Microsoft Office/16",
    "Dart/3.3 (dart:io)": "Dart/3",
    "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UD1A.230803.041)": "Dalvik/2",
    "ShopApp/5.12.1 (com.example.shop; build:812; iOS 17.4.1) Alamofire/5.8.0": "ShopApp/5",
    "Shop%20App/812 CFNetwork/1494.0.7 Darwin/23.4.0": "Shop App/812",
    "reqwest/0.12.4": "reqwest/0",
    "Envoy/HC": "Envoy",
    # nothing personal
    "ana@example.com": "ana",
    "550e8400-e29b-41d4-a716-446655440000": OTHER,
    "9f8e7d6c5b4a39281706f5e4d3c2b1a0/1.0": OTHER,
    "x0yTRhZZg9XlOq7/2": OTHER,
    "日本語/1.0": OTHER,
    "A" * 4000: OTHER,
}


@pytest.mark.parametrize(("user_agent", "name"), SEEN.items(), ids=[text[-40:] or "none" for text in SEEN])
def test_user_agents_have_a_family(user_agent: str, name: str) -> None:
    assert caller_of(user_agent) == name


@given(st.text(max_size=300))
def test_names_are_short_and_plain(user_agent: str) -> None:
    name = caller_of(user_agent)
    assert name
    assert len(name) <= MAX_NAME + 5
    assert name.isprintable()
    assert "@" not in name
    assert not re.search(r"\d\.\d+\.", name)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("billing-batch", "billing-batch"),
        ("", NONE),
        ("ana@example.com", OTHER),
        ("x\x00y", "x?y"),
        ("0yTRhZZg9XlO7qqRTz12", OTHER),
        ("batch " * 20, ("batch " * 20)[: MAX_NAME - 1] + "…"),
    ],
)
def test_a_field_of_the_operator_names_callers(value: str, name: str) -> None:
    assert named_caller(value) == name
