"""The Lua of what an operator does to a group's pending entries: each body is one atomic step, by the rules of `scripts`.

What left the stream while it was pending is acknowledged with a dead letter, whoever had it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .commands import DEAD_LETTERS, Command, milliseconds, ran
from .effects import Words
from .keys import WAITING
from .scripts import GONE, MOURN, Script

# keys: stream, dead letters; args: group, parking consumer, idle time to set (ms), maxlen of the dead letters, ids ...
# -> how many wait under the parking consumer now; the deliveries stay what they were
GIVE_BACK = Script(
    GONE
    + MOURN
    + """
local key, group, waiting, parked = KEYS[1], ARGV[1], ARGV[2], 0
for i = 5, #ARGV do
  local id = ARGV[i]
  local p = redis.call('XPENDING', key, group, id, id, 1)[1]
  if p and gone(id) then
    mourn(ARGV[4], group, id, p[2], p[4])
    redis.call('XACK', key, group, id)
  elseif p then
    redis.call('XCLAIM', key, group, waiting, 0, id, 'IDLE', ARGV[3], 'RETRYCOUNT', p[4], 'JUSTID')
    parked = parked + 1
  end
end
return parked
"""
)

# keys: stream, dead letters; args: group, to, least idle (ms), least idle of what waits (ms), parking consumer, maxlen of the dead letters, how many
# to claim, first id ('': the ids that follow), how many to look at, or ids ... -> {last id looked at or '', {id claimed, ...}, {id gone, ...}, how
# many it looked at}; what is `to`'s already is claimed by its id only
CLAIM = Script(
    MOURN
    + """
local key, group, to, start = KEYS[1], ARGV[1], ARGV[2], ARGV[8]
local least, due, most, named = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[7]), start == ''
local pending = {}
if named then
  for i = 9, #ARGV do pending[#pending + 1] = redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1)[1] end
else
  pending = redis.call('XPENDING', key, group, start, '+', ARGV[9])
end
local last, claimed, lost = '', {}, {}
for _, p in ipairs(pending) do
  if #claimed == most then break end
  local id, owner, idle, deliveries = p[1], p[2], p[3], p[4]
  last = id
  if (named or owner ~= to) and idle >= (owner == ARGV[5] and due or least) then
    if redis.call('XCLAIM', key, group, to, 0, id, 'RETRYCOUNT', deliveries)[1] then
      claimed[#claimed + 1] = id
    else
      mourn(ARGV[6], group, id, owner, deliveries)
      redis.call('XACK', key, group, id)
      lost[#lost + 1] = id
    end
  end
end
return {last, claimed, lost, #pending}
"""
)

# keys: stream; args: group, or the stream's own entries by XRANGE or XREVRANGE; where to begin, where to end, how many to look at
# -> {how many it looked at, the last of them or '', how many of them the stream holds}
COUNT = Script(
    GONE
    + """
local found
if ARGV[5] then found = redis.call(ARGV[5], KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
else found = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) end
local there = #found
for _, p in ipairs(ARGV[5] and {} or found) do
  if gone(p[1]) then there = there - 1 end
end
return {#found, #found > 0 and found[#found][1] or '', there}
"""
)


def give_back(keys: Words, group: str, idle: float, ids: Sequence[str]) -> Command[int]:
    """Let these entries wait under the parking consumer, idle for `idle` seconds; how many do."""
    return ran(GIVE_BACK, keys, (group, WAITING, milliseconds(idle), str(DEAD_LETTERS), *ids), int)


class Claimed(NamedTuple):
    """What CLAIM gives: the last id it looked at, the ids claimed, those that are gone, and how many it looked at."""

    last: str
    claimed: list[str]
    gone: list[str]
    seen: int


def claim(keys: Words, group: str, to: str, idle: tuple[float, float], most: int, start: str, rest: Sequence[str]) -> Command[Claimed]:
    """Make pending entries `to`'s. `idle`: how long at least, and what waits; `start` with how many to look at, or '' with the ids."""
    times = map(milliseconds, idle)
    return ran(CLAIM, keys, (group, to, *times, WAITING, str(DEAD_LETTERS), str(most), start, *rest), lambda reply: Claimed(*reply))


class Counted(NamedTuple):
    """What COUNT gives: how many it looked at, the last of them (''), and how many of them the stream holds."""

    seen: int
    last: str
    there: int


def count(key: str, start: str, end: str, most: int, reverse: bool = False) -> Command[Counted]:
    """How many entries of the stream lie between these ids, `most` at most, and the last of them; `reverse`: from the newer id down."""
    return ran(COUNT, (key,), ("", start, end, str(most), "XREVRANGE" if reverse else "XRANGE"), lambda reply: Counted(*reply))


def count_pending(key: str, group: str, start: str, end: str, most: int) -> Command[Counted]:
    """As `count`, of what is pending in the group."""
    return ran(COUNT, (key,), (group, start, end, str(most)), lambda reply: Counted(*reply))
