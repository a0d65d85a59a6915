"""The rendered files before the real program: what the pods would read, run, serve and be probed by."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from strangler.config.schema import Root
from strangler.demo.children import free_ports
from tests.deploy.helm import ROOT, render
from tests.deploy.releases import RELEASES, container, node, only
from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy

TOKEN = "correct-horse-battery"
SECRETS = {"token": TOKEN, "store-secret": "sixteen-letters-and-more", "pgpassword": "p@ss: word"}
