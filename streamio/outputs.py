"""The Lua that acknowledges entries together with what their handling put out: one atomic step for each entry, as those of `scripts`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from .commands import Command, ran
from .effects import Words
from .scripts import Script

DONE, NOT_MINE, GONE = 1, 0, -1  # what OUTPUT says of an entry; else the server's error
SLACK = 100  # entries of mine that may stand between those of one step

# keys: stream, then those that the commands write to; args: group, me ('': nothing is pending, ack="none"), how many entries, the first id, the
# last one, how many pending entries to look at, then for each entry its id and how many commands, and for each command how many words and the words
# -> for each entry 1 where its commands are done and it is acknowledged, 0 where it is not mine, -1 where it left the stream and is nobody's, else
# the server's error: then nothing of this entry is done. What was added before the command that failed is taken back: nobody has seen it.
OUTPUT = Script("""
local argv, call, try = ARGV, redis.call, redis.pcall
local key, group, me, count = KEYS[1], argv[1], argv[2], tonumber(argv[3])
local mine = {}
if me ~= '' and count > 1 then
  for _, p in ipairs(call('XPENDING', key, group, argv[4], argv[5], argv[6], me)) do mine[p[1]] = true end
end
local function standing(id)
  if me == '' or mine[id] then return 1 end
  if #call('XPENDING', key, group, id, id, 1, me) > 0 then return 1 end
  if #call('XPENDING', key, group, id, id, 1) > 0 then return 0 end
  local found = try('XRANGE', key, id, id)
  return not found.err and #found == 0 and -1 or 0
end
local states, done, at = {}, {}, 7
for e = 1, count do
  local id, commands, added = argv[at], tonumber(argv[at + 1]), nil
  local state = standing(id)
  at = at + 2
  for _ = 1, commands do
    local words = tonumber(argv[at])
    if state == 1 then
      local reply = try(unpack(argv, at + 1, at + words))
      if type(reply) == 'table' and reply.err then
        state = reply.err
        for _, undo in ipairs(added or {}) do try('XDEL', undo[1], undo[2]) end
      elseif commands > 1 and argv[at + 1] == 'XADD' and reply then
        added = added or {}
        added[#added + 1] = {argv[at + 2], reply}
      end
    end
    at = at + 1 + words
  end
  if state == 1 then done[#done + 1] = id end
  states[e] = state
end
if me ~= '' and #done > 0 then call('XACK', key, group, unpack(done)) end
return states
""")

Row = tuple[str, Sequence[Words]]


def output(key: str, group: str, me: str, rows: Sequence[Row]) -> Command[list[int | str]]:
    """Do the commands of each row (id, commands) in one step with its acknowledgement; what became of each."""
    words: list[str | bytes] = [group, me, str(len(rows)), rows[0][0], rows[-1][0], str(len(rows) + SLACK)]
    keys = {key: None}
    for entry_id, commands in rows:
        words += (entry_id, str(len(commands)))
        for command in commands:
            words.append(str(len(command)))
            words += command
            keys[str(command[1])] = None
    return ran(OUTPUT, tuple(keys), words, list)


def weight(commands: Sequence[Words]) -> int:
    """About how many bytes these commands are."""
    return sum(map(len, chain.from_iterable(commands)))
