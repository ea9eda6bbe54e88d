"""Delayed entries on the server: how they are kept, and the Lua that puts them there, moves them into the stream and takes them back.

One sorted set for each topic. Score: when the entry is due, in milliseconds of the server's clock. Member: a token, a space, and the words of the
XADD that is to come as netstrings (`5:hello,`), which Lua takes apart byte for byte with nothing but `string`.

1. An entry is added to the stream and removed from here in one body: however many run it, and however often, each is moved once.
2. A token tells when it was made, in digits of one width: due in the same millisecond, entries are moved in the order in which they were published.
3. What nobody of ours wrote cannot be moved. It is set aside (score +inf), so that it stands in nobody's way.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .commands import Command, milliseconds, ran
from .effects import Words
from .retention import Retention
from .scripts import Script

PAGE = 100  # entries moved by one body
PAGE_BYTES = 1_000_000  # likewise: no more begins then
TOKEN = re.compile(r"delayed-([0-9]{1,16})-[0-9]{16}-[0-9a-f]{8}")

# The server's clock, and an entry's words: {retention or '', its limit, field, value, ...}; nil where they are none of ours.
ADDING = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function words_of(packed, at)
  local words = {}
  while at <= #packed do
    local size, from = string.match(packed, '^(%d+):()', at)
    if not size then return nil end
    at = from + size
    if string.sub(packed, at, at) ~= ',' then return nil end
    words[#words + 1] = string.sub(packed, from, at - 1)
    at = at + 1
  end
  local how = words[1]
  local known = how == '' or ((how == 'MAXLEN' or how == 'MINID') and string.match(words[2] or '', '^%d+$') and #words[2] <= 18)
  return known and #words >= 4 and #words < 7950 and #words % 2 == 0 and words or nil
end
local function add(words)
  local how, limit = words[1], words[2]
  if how == '' then return redis.call('XADD', KEYS[1], '*', unpack(words, 3)) end
  if how == 'MINID' then limit = string.format('%.0f', math.max(0, now - limit)) end
  return redis.call('XADD', KEYS[1], how, '~', limit, '*', unpack(words, 3))
end
"""

# keys: stream, delayed entries, and where it is to be done once its guard; args: 'in' or 'at', milliseconds, eight hexadecimal digits, the packed
# words, for how long the guard stands (ms) -> the token or, where the entry was due already, the id that it got in the stream. (See PUBLISH_ONCE.)
POSTPONE = Script(
    ADDING
    + """
local kinds = {'stream', 'zset', 'string'}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)
  kind = kind.ok or kind
  if kind ~= 'none' and kind ~= kinds[i] then
    return redis.error_reply('WRONGTYPE a delayed entry needs the key ' .. key .. ' to be a ' .. kinds[i] .. ', and it holds a ' .. kind)
  end
end
local guard = KEYS[3]
local before = guard and redis.call('GET', guard)
if before and before ~= '' then return before end
if guard then redis.call('SET', guard, '', 'PX', ARGV[5]) end
local due = ARGV[1] == 'at' and tonumber(ARGV[2]) or now + ARGV[2]
local function put()
  if due <= now then return add(words_of(ARGV[4], 1)) end
  local token = string.format('delayed-%.0f-%016.0f-%s', due, time[1] * 1000000 + time[2], ARGV[3])
  redis.call('ZADD', KEYS[2], string.format('%.0f', due), token .. ' ' .. ARGV[4])
  return token
end
if not guard then return put() end
local fine, given = pcall(put)
if not fine then
  redis.pcall('DEL', guard)
  return type(given) == 'table' and given or redis.error_reply(given)
end
redis.call('SET', guard, given, 'PX', ARGV[5])
return given
"""
)

# keys: stream, delayed entries; args: how many at most, how many bytes
# -> {how many were moved, milliseconds until the next is due (0: it is already; -1: there is none), how many were set aside}
# Before anything is added it is asked whether removing is allowed: a member that may only add would add without end.
MOVE = Script(
    """
local head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if not head[1] then return {0, -1, 0} end
"""
    + ADDING
    + """
local moved, aside, bytes = 0, 0, 0
while head[1] and head[2] ~= 'inf' and tonumber(head[2]) <= now and moved + aside < tonumber(ARGV[1]) and bytes < tonumber(ARGV[2]) do
  if moved + aside == 0 then redis.call('ZREM', KEYS[2], '') end
  local words = words_of(head[1], (string.find(head[1], ' ', 1, true) or #head[1]) + 1)
  bytes = bytes + #head[1]
  if words then
    add(words)
    redis.call('ZREM', KEYS[2], head[1])
    moved = moved + 1
  else
    redis.call('ZADD', KEYS[2], '+inf', head[1])
    aside = aside + 1
  end
  head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
end
if not head[1] or head[2] == 'inf' then return {moved, -1, aside} end
return {moved, math.max(0, math.ceil(tonumber(head[2]) - now)), aside}
"""
)

# keys: delayed entries; args: when it is due, token -> 1 where it waited there and is gone now, else 0. Many may be due at that moment: they stand in
# the order of their tokens.
CANCEL = Script("""
local key, due, token = KEYS[1], ARGV[1], ARGV[2]
local first = redis.call('ZCOUNT', key, '-inf', '(' .. due)
local last = first + redis.call('ZCOUNT', key, due, due) - 1
while first <= last do
  local middle = math.floor((first + last) / 2)
  local member = redis.call('ZRANGE', key, middle, middle)[1]
  local found = string.sub(member, 1, #token)
  if found == token then return redis.call('ZREM', key, member) end
  if found < token then first = middle + 1 else last = middle - 1 end
end
return 0
""")


class Moved(NamedTuple):
    """What MOVE gives: how many entries are in the stream now, in how many seconds the next is due, and how many were no entries."""

    entries: int
    next: float
    aside: int


def packed(retention: Retention, fields: Words) -> bytes:
    """The words of the XADD that is to come, its retention first, as netstrings."""
    if retention.maxlen is not None:
        head = ["MAXLEN", str(retention.maxlen)]
    elif retention.max_age is not None:
        head = ["MINID", str(round(retention.max_age * 1000))]
    else:
        head = ["", "0"]
    words = [word.encode() if isinstance(word, str) else word for word in (*head, *fields)]
    return b"".join(b"%d:%b," % (len(word), word) for word in words)


def postpone(keys: Words, due: tuple[str, str], chance: float, entry: bytes, window: float) -> Command[str]:
    """Let an entry wait until it is due, in so many milliseconds ("in") or at that moment ("at"); its token, or its id where it is due already."""
    return ran(POSTPONE, keys, (*due, f"{int(chance * 2**32) % 2**32:08x}", entry, milliseconds(window)), str)


def move(keys: Words) -> Command[Moved]:
    """Move what is due, a page at most, into the stream."""
    return ran(MOVE, keys, (str(PAGE), str(PAGE_BYTES)), moved)


def moved(reply: tuple[int, int, int]) -> Moved:
    """The answer in seconds."""
    return Moved(reply[0], reply[1] / 1000 if reply[1] >= 0 else float("inf"), reply[2])


def cancel(key: str, due: str, token: str) -> Command[bool]:
    """Take back what is delayed; whether it was there."""
    return ran(CANCEL, (key,), (due, token), bool)


def zcount(key: str) -> Command[int]:
    """How many entries are delayed, without those set aside."""
    return Command(("ZCOUNT", key, "-inf", "(+inf"), int)


def first_due(key: str) -> Command[float | None]:
    """When the first delayed entry is due, in seconds since 1970; None where there is none."""
    return Command(("ZRANGEBYSCORE", key, "-inf", "(+inf", "WITHSCORES", "LIMIT", "0", "1"), lambda reply: float(reply[1]) / 1000 if reply else None)
