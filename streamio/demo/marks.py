"""Which keys are the demo's own. It never touches others.

1. Beside the stream stands a marker: a hash that says who made it, with the token of the demo that has it now.
2. Where a key of ours is there and the marker is not, or is not of our making, they are somebody's: refused, nothing is touched.
3. A second key says that the demo lives; it ends by itself when nobody renews it. A marker without it was left by a demo that was killed:
   its keys are taken over as they are.
4. Whatever deletes looks at the token in the same step, so a demo whose keys another one took can delete nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

from ..errors import SetupError
from ..keys import side_key

MADE_BY = "streamio demo"
LIVES = 4.0  # seconds without a word after which a demo is held for dead

# keys: marker, life, stream, side keys ...; args: token, made by, milliseconds to live -> {'new' | 'left' | 'foreign' | 'busy', milliseconds left}
TAKE = """
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'none' then
  for i = 2, #KEYS do if redis.call('EXISTS', KEYS[i]) == 1 then return {'foreign', 0} end end
elseif kind ~= 'hash' or redis.call('HGET', KEYS[1], 'made-by') ~= ARGV[2] then
  return {'foreign', 0}
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  return {'busy', redis.call('PTTL', KEYS[2])}
end
redis.call('HSET', KEYS[1], 'made-by', ARGV[2], 'token', ARGV[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return {kind == 'none' and 'new' or 'left', 0}
"""

# keys: marker, life; args: token, milliseconds to live -> whether the keys are still this demo's
RENEW = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'hash' or redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""

# keys: marker, what goes ...; args: token -> how many went, or -1 where the keys are not this demo's
WIPE = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'hash' or redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return -1 end
local gone = 0
for i = 2, #KEYS do gone = gone + redis.call('DEL', KEYS[i]) end
return gone
"""


class Marks:
    """The keys of one demo on one server."""

    def __init__(self, client: Any, stream: str, lives: float = LIVES) -> None:
        self.client, self.stream, self.lives = client, stream, lives
        self.token = secrets.token_hex(8)
        self.marker, self.life = side_key(stream, "demo"), side_key(stream, "demo-alive")

    def keys_of(self, groups: Iterable[str]) -> list[str]:
        """The stream and what the library keeps beside it for these groups."""
        beside = [side_key(self.stream, kind, group) for group in sorted(set(groups)) for kind in ("dead", "slots")]
        return [self.stream, side_key(self.stream, "delayed"), *beside]

    async def take(self, groups: Iterable[str]) -> bool:
        """Have the keys; whether a demo that was killed had left them. A SetupError where they are somebody else's, or another demo lives."""
        keys, left = self.keys_of(groups), float("inf")
        while True:
            word, rest = await self._run(TAKE, [self.marker, self.life, *keys], self.token, MADE_BY, round(self.lives * 1000))
            if word in (b"new", b"left"):
                return bool(word == b"left")
            if word == b"foreign":
                raise SetupError(f"{self.stream!r}, or a key beside it, was not made by a demo: nothing was touched; name another stream key")
            if rest > left:
                raise SetupError(f"another demo is running on {self.stream!r}: end it, or name another stream key")
            left = rest
            await asyncio.sleep(self.lives / 16)

    async def renew(self) -> bool:
        """Say that this demo lives; False where its keys are not its own any more."""
        return bool(await self._run(RENEW, [self.marker, self.life], self.token, round(self.lives * 1000)))

    async def wipe(self, groups: Iterable[str], marker: bool = False) -> int:
        """Delete the demo's data (and the marker); how many keys went. A SetupError where they are not this demo's any more."""
        keys = [*self.keys_of(groups), *([self.life, self.marker] if marker else [])]
        gone = int(await self._run(WIPE, [self.marker, *keys], self.token))
        if gone < 0:
            raise SetupError(f"the keys of {self.stream!r} are not this demo's any more: nothing was deleted")
        return gone

    async def _run(self, script: str, keys: list[str], *args: object) -> Any:
        return await self.client.execute_command("EVAL", script, len(keys), *keys, *args)
