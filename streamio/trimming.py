"""The Lua that trims to what every group has acknowledged: one atomic step, as those of `scripts`."""

from __future__ import annotations

from .scripts import COMMON, Script

# keys: stream; args: 'MINID' | 'MAXLEN' | '', its threshold, '=' | '~', groups to ignore ...
# -> {entries removed, group that held more back or '', the oldest id it needs}
TRIM_ACKED = Script(
    COMMON
    + """
local key, how, limit, exactly = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local ignored = {}
for i = 4, #ARGV do ignored[ARGV[i]] = true end
if redis.call('EXISTS', key) == 0 then return {0, '', ''} end
local floor, holder
for _, raw in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = by_name(raw)
  if not ignored[group['name']] then
    local time, sequence = parts(group['last-delivered-id'])
    local oldest = #sequence < 16 and time .. '-' .. string.format('%d', sequence + 1) or time .. '-' .. sequence
    local pending = redis.call('XPENDING', key, group['name'])[2]
    if pending and less(pending, oldest) then oldest = pending end  -- (of a group that was moved back, pending entries lie above what it reads next)
    if not floor or less(oldest, floor) then floor, holder = oldest, group['name'] end
  end
end
if not floor then return {0, '', ''} end
local threshold = floor
if how == 'MINID' then
  if not less(floor, limit) then threshold, holder = limit, '' end
elseif how == 'MAXLEN' then
  local surplus, start, seen = redis.call('XLEN', key) - limit, '-', 0
  if surplus <= 0 then return {0, '', ''} end
  while seen <= surplus do
    local page = redis.call('XRANGE', key, start, '+', 'COUNT', math.min(1000, surplus - seen + 1))
    if #page == 0 then break end
    seen, start = seen + #page, '(' .. page[#page][1]
    if not less(page[#page][1], floor) then break end
  end
  local edge = string.sub(start, 2)
  if seen > surplus and not less(floor, edge) then threshold, holder = edge, '' end
end
local removed = redis.call('XTRIM', key, 'MINID', exactly, threshold)
if holder ~= '' and redis.call('XLEN', key) == 0 then holder = '' end
return {removed, holder, holder == '' and '' or floor}
"""
)
