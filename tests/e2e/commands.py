"""Commands of ours, as somebody at a terminal types them."""

import asyncio
import os
import sys
from pathlib import Path


async def run(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Exit code of `strangler ARGUMENTS` in a folder, and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", *arguments),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
