"""The Lua that ownership needs: each body is one atomic step on the server, on every server, the embedded one too.

WATCH sees neither XACK nor XCLAIM (redis-server 7.0.15), so MULTI is no substitute. Rules of the bodies:

1. Whatever takes, renews, parks or buries checks the owner in the same step.
2. Lua does not roll back: an acknowledgement is the last command of its body, output comes before it.
3. Taking never raises a delivery count (`RETRYCOUNT` is set to what it was).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

from .effects import Words


@dataclass(frozen=True)
class Script:
    """A Lua body and the digest the server keeps it by."""

    body: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.body.encode()).hexdigest())

    def by_digest(self, keys: Words, args: Words) -> Words:
        """The words that run the script where the server knows it already."""
        return ("EVALSHA", self.sha, str(len(keys)), *keys, *args)

    def in_full(self, keys: Words, args: Words) -> Words:
        """The words that run the script on a server that has not seen it."""
        return ("EVAL", self.body, str(len(keys)), *keys, *args)


# Comparing ids, and XINFO's flat lists by name: what several bodies begin with.
COMMON = """
local function parts(id)
  local time, sequence = string.match(id, '^(%d+)%-?(%d*)$')
  return time, sequence == '' and '0' or sequence
end
local function less(a, b)
  local at, as = parts(a)
  local bt, bs = parts(b)
  if at ~= bt then return #at < #bt or (#at == #bt and at < bt) end
  return as ~= bs and (#as < #bs or (#as == #bs and as < bs))
end
local function by_name(flat)
  local facts = {}
  for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
  return facts
end
"""

# Whether the stream does not hold an entry any more; where the user may not look, no.
GONE = """
local function gone(id)
  local found = redis.pcall('XRANGE', KEYS[1], id, id)
  return not found.err and #found == 0
end
"""

# The dead letter of an entry that is gone: keys are the stream and the dead letters; what other bodies begin with.
MOURN = """
local function mourn(maxlen, group, id, owner, deliveries)
  redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', maxlen, '*', 'dead:id', id, 'dead:group', group, 'dead:consumer', owner,
    'dead:deliveries', deliveries, 'dead:reason', 'missing', 'dead:error', '', 'dead:traceback', '', 'dead:topic', KEYS[1])
end
"""

# keys: stream, dead letters; args: group, me, from ('': of any but me and the parking consumer), least idle (ms), first id, how many,
# parking consumer, maxlen of the dead letters, how many to take
# -> {last id looked at or '', {{id, {field, value, ...}, deliveries, idle ms}, ...}, {id of each entry that is gone, ...}, how many it looked at}
TAKE = Script(
    MOURN
    + """
local key, group, me, from, idle, waiting = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[7]
local pending
if from == '' then pending = redis.call('XPENDING', key, group, ARGV[5], '+', ARGV[6])
elseif idle == '0' then pending = redis.call('XPENDING', key, group, ARGV[5], '+', ARGV[6], from)
else pending = redis.call('XPENDING', key, group, 'IDLE', idle, ARGV[5], '+', ARGV[6], from) end
local last, taken, gone = '', {}, {}
for _, p in ipairs(pending) do
  if #taken == tonumber(ARGV[9]) then break end
  local id, owner, deliveries = p[1], p[2], p[4]
  last = id
  if from ~= '' or (owner ~= me and owner ~= waiting and p[3] >= tonumber(idle)) then
    local claimed = redis.call('XCLAIM', key, group, me, idle, id, 'RETRYCOUNT', deliveries)
    if claimed[1] then
      taken[#taken + 1] = {id, claimed[1][2], deliveries, p[3]}
    else
      mourn(ARGV[8], group, id, owner, deliveries)
      redis.call('XACK', key, group, id)
      gone[#gone + 1] = id
    end
  end
end
return {last, taken, gone, #pending}
"""
)

# keys: stream, dead letters; args: group, from, to, least idle (ms), idle to set (ms), first id, last id, how many, maxlen of the dead letters
# -> {last id looked at or '', how many are `to`'s now, how many it looked at}
HAND_OVER = Script(
    MOURN
    + """
local key, group, from, to, least = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pending = least == '0' and redis.call('XPENDING', key, group, ARGV[6], ARGV[7], ARGV[8], from)
  or redis.call('XPENDING', key, group, 'IDLE', least, ARGV[6], ARGV[7], ARGV[8], from)
local last, moved = '', 0
for _, p in ipairs(pending) do
  last = p[1]
  if redis.call('XCLAIM', key, group, to, least, last, 'IDLE', ARGV[5], 'RETRYCOUNT', p[4])[1] then
    moved = moved + 1
  else
    mourn(ARGV[9], group, last, from, p[4])
    redis.call('XACK', key, group, last)
  end
end
return {last, moved, #pending}
"""
)

# keys: stream; args: group, me, first id -> the ids that are still mine, 1000 at most, each with its idle time at 0 again
RENEW = Script("""
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', 1000, ARGV[2])
if #pending == 0 then return {} end
local ids = {}
for i, p in ipairs(pending) do ids[i] = p[1] end
ids[#ids + 1] = 'JUSTID'
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(ids))
ids[#ids] = nil
return ids
""")

# keys: stream; args: group, me, then (id, deliveries to set) each -> for each 1 where it is counted, 0 where it is not mine, -1 where it is gone
COUNT_STARTS = Script("""
local key, group, me, states = KEYS[1], ARGV[1], ARGV[2], {}
for i = 3, #ARGV, 2 do
  local id, state = ARGV[i], 0
  if #redis.call('XPENDING', key, group, id, id, 1, me) > 0 then
    state = #redis.call('XCLAIM', key, group, me, 0, id, 'RETRYCOUNT', ARGV[i + 1], 'JUSTID') > 0 and 1 or -1
  end
  states[#states + 1] = state
end
return states
""")

# keys: stream; args: group, owner, parking consumer, then (id, idle ms, deliveries it must have or '', deliveries to set) each
# -> {the ids that were the owner's and now wait under the parking consumer, the ids that left the stream}. What left it stays the owner's until its
# dead letter is written; a renewal may have dropped it.
PARK = Script(
    GONE
    + """
local key, group, owner, waiting, parked, left = KEYS[1], ARGV[1], ARGV[2], ARGV[3], {}, {}
for i = 4, #ARGV, 4 do
  local id = ARGV[i]
  local p = redis.call('XPENDING', key, group, id, id, 1, owner)[1]
  if gone(id) then
    if p or #redis.call('XPENDING', key, group, id, id, 1) == 0 then left[#left + 1] = id end
  elseif p and (ARGV[i + 2] == '' or tostring(p[4]) == ARGV[i + 2]) then
    local claimed = redis.call('XCLAIM', key, group, waiting, 0, id, 'IDLE', ARGV[i + 1], 'RETRYCOUNT', ARGV[i + 3], 'JUSTID')
    local list = #claimed > 0 and parked or left
    list[#list + 1] = id
  end
end
return {parked, left}
"""
)

# keys: stream, dead letters; args: group, owner ('': the entry is gone, nobody's), id, maxlen, fields and values of the dead letter
# -> its id, or '' where the entry is not the owner's. What left the stream is anybody's: a renewal drops it.
BURY = Script(
    GONE
    + """
local kind = redis.call('TYPE', KEYS[2])
kind = kind.ok or kind
if kind ~= 'none' and kind ~= 'stream' then
  return redis.error_reply('WRONGTYPE the dead letters of this group need the key ' .. KEYS[2] .. ', which holds a ' .. kind)
end
if ARGV[2] ~= '' and #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
  if not gone(ARGV[3]) or #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1) > 0 then return '' end
end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, 5))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return id
"""
)

# keys: dead letters, stream; args: group, parking consumer, idle time of what is due (ms), mark of a copy, then (first id, last id, how many) each
# -> {{id of a letter, 'redriven' | 'copied' | 'held' | 'refused'}, ...}
# An entry that the group has not been given yet (it was moved back) needs only that its letter goes: the group reads it.
REDRIVE = Script(
    COMMON
    + """
local dead, key, group, waiting, idle, mark = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
for _, each in ipairs(KEYS) do
  local kind = redis.call('TYPE', each)
  kind = kind.ok or kind
  if kind ~= 'none' and kind ~= 'stream' then
    return redis.error_reply('WRONGTYPE the key ' .. each .. ' must be a stream and holds a ' .. kind)
  end
end
local place
for _, flat in ipairs(redis.call('EXISTS', key) == 1 and redis.call('XINFO', 'GROUPS', key) or {}) do
  local facts = by_name(flat)
  if facts['name'] == group then place = facts['last-delivered-id'] end
end
if not place then return redis.error_reply('NOGROUP no such group') end
redis.call('XDEL', dead, '0-0') -- where that is not allowed, nothing is begun
local function fits(number)
  return #number < 20 or #number == 20 and number <= '18446744073709551615'
end
local function redrive(id, words)
  local entry, became = words[2], 'redriven'
  local time, sequence = string.match(entry, '^(%d+)%-(%d+)$')
  if words[1] ~= 'dead:id' or #words <= 16 or not time or not fits(time) or not fits(sequence) then return 'refused' end
  if #redis.call('XPENDING', key, group, entry, entry, 1) > 0 then return 'held' end
  if #redis.call('XRANGE', key, entry, entry) == 0 then
    if words[17] == 'dead:fields' or #words > 7900 then return 'refused' end
    redis.call('XADD', key, '*', mark, group, unpack(words, 17))
    became = 'copied'
  elseif not less(place, entry) then
    redis.call('XCLAIM', key, group, waiting, 0, entry, 'IDLE', idle, 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
  end
  redis.call('XDEL', dead, id)
  return became
end
local done = {}
for i = 5, #ARGV, 3 do
  for _, letter in ipairs(redis.call('XRANGE', dead, ARGV[i], ARGV[i + 1], 'COUNT', ARGV[i + 2])) do
    done[#done + 1] = {letter[1], redrive(letter[1], letter[2])}
  end
end
return done
"""
)

# keys: stream; args: group, name -> 1 where the consumer is gone, 0 where something is pending under its name
LEAVE = Script("""
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
""")

# keys: the group's places (a sorted set of members by the time their lease ends); args: me, max, lease (ms) -> 1 where I have a place
SEAT = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")

# keys: stream; args: group
# -> {entries that left the stream, entries the group was given (-1: unknown), its place}, where entries left in front of that
# place; else, and where the server does not count (before 7.0) or this user may not look, {0, 0, ''}
# (The group's count is only looked at: one that is set is wrong after a restart, because XREADGROUP is replayed as XCLAIM ... LASTID.)
GAP = Script(
    COMMON
    + """
local key, name = KEYS[1], ARGV[1]
local function allowed(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return nil end
  return reply
end
local stream, groups = allowed('XINFO', 'STREAM', key), allowed('XINFO', 'GROUPS', key)
if not stream or not groups then return {0, 0, ''} end
stream = by_name(stream)
local added, first, group = stream['entries-added'], stream['first-entry'], nil
for _, flat in ipairs(groups) do
  local facts = by_name(flat)
  if facts['name'] == name then group = facts end
end
if not group or not added then return {0, 0, ''} end
local last = group['last-delivered-id']
if last == stream['last-generated-id'] or (first and not less(last, first[1])) then return {0, 0, ''} end
return {added - stream['length'], group['entries-read'] or -1, last}
"""
)

# keys: stream, guard; args: for how long the guard stands (ms), then XADD's words behind the key -> the id of the entry added now or, where the guard
# stands, then. The guard is set first (rights and memory are asked before anything is added) and taken back where nothing is added.
PUBLISH_ONCE = Script("""
local kind = redis.call('TYPE', KEYS[2])
kind = kind.ok or kind
if kind ~= 'none' and kind ~= 'string' then
  return redis.error_reply('WRONGTYPE the key ' .. KEYS[2] .. ' guards an idempotency_key and holds a ' .. kind)
end
local id = redis.call('GET', KEYS[2])
if id and id ~= '' then return id end
redis.call('SET', KEYS[2], '', 'PX', ARGV[1])
id = redis.pcall('XADD', KEYS[1], unpack(ARGV, 2))
if type(id) == 'table' then
  redis.pcall('DEL', KEYS[2])
  return id
end
redis.call('SET', KEYS[2], id, 'PX', ARGV[1])
return id
""")
