"""The Lua that acknowledges entries together with what their handling put out: one atomic step for each entry, as those of `scripts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .commands import Command, ran
from .effects import Words
from .scripts import Script

DONE, NOT_MINE, GONE = 1, 0, -1  # what OUTPUT says of an entry; else the server's error
SLACK = 100  # entries of mine that may stand between those of one step

# keys: stream, then those that the commands write to; args: group, me ('': nothing is pending, ack="none"), the first id, the last one, how many
# pending entries to look at, how many heads, for each head how many words, how many of them are holes, the words and the places of the holes, then
# runs of entries that are alike: how many entries, how many commands each, for each command which head it begins with and how many words fill its
# holes, or follow where it has none, then for each entry its id and all those words
# -> for each entry 1 where its commands are done and it is acknowledged, 0 where it is not mine, -1 where it left the stream and is nobody's, else
# the server's error: then nothing of this entry is done. What was added before the command that failed is taken back: nobody has seen it.
OUTPUT = Script("""
local argv, call, try, unpack, tonumber = ARGV, redis.call, redis.pcall, unpack, tonumber
local key, group, me, at = KEYS[1], argv[1], argv[2], 7
local heads = {}
for h = 1, tonumber(argv[6]) do
  local words, holes = tonumber(argv[at]), tonumber(argv[at + 1])
  heads[h] = {words = {unpack(argv, at + 2, at + 1 + words)}, holes = {}}
  at = at + 2 + words
  for i = 1, holes do heads[h].holes[i], at = tonumber(argv[at]), at + 1 end
end
local function run(head, from, to)
  local words, holes = head.words, head.holes
  if #holes > 0 then
    for i = 1, #holes do words[holes[i]] = argv[from + i - 1] end
    return try(unpack(words))
  end
  if #words == 3 then return try(words[1], words[2], words[3], unpack(argv, from, to)) end
  words = {unpack(words)}
  for i = from, to do words[#words + 1] = argv[i] end
  return try(unpack(words))
end
local mine = {}
if me ~= '' and argv[3] ~= argv[4] then
  for _, p in ipairs(call('XPENDING', key, group, argv[3], argv[4], argv[5], me)) do mine[p[1]] = true end
end
local function standing(id)
  if me == '' then return 1 end
  if #call('XPENDING', key, group, id, id, 1, me) > 0 then return 1 end
  if #call('XPENDING', key, group, id, id, 1) > 0 then return 0 end
  local found = try('XRANGE', key, id, id)
  return not found.err and #found == 0 and -1 or 0
end
local function take_back(added)
  for _, each in ipairs(added) do try('XDEL', each[1], each[2]) end
end
local function perform(shape, from)
  if #shape == 1 then
    local reply = run(shape[1][1], from, from + shape[1][2] - 1)
    return type(reply) == 'table' and reply.err or 1
  end
  local added = {}
  for c, command in ipairs(shape) do
    local reply = run(command[1], from, from + command[2] - 1)
    from = from + command[2]
    if type(reply) == 'table' and reply.err then
      take_back(added)
      return reply.err
    end
    if c < #shape and command[1].words[1] == 'XADD' then added[#added + 1] = {command[1].words[2], reply} end
  end
  return 1
end
local states, done, seen = {}, {}, {}
while at < #argv do
  local many, size, shape = tonumber(argv[at]), 0, {}
  local commands = tonumber(argv[at + 1])
  at = at + 2
  for c = 1, commands do
    shape[c] = {heads[tonumber(argv[at])], tonumber(argv[at + 1])}
    size, at = size + shape[c][2], at + 2
  end
  for _ = 1, many do
    local id = argv[at]
    local state = seen[id] and 0 or mine[id] and 1 or standing(id)
    if state == 1 then state = perform(shape, at + 1) end
    if state == 1 then
      done[#done + 1], seen[id] = id, true
    end
    states[#states + 1], at = state, at + 1 + size
  end
end
if me ~= '' and #done > 0 then call('XACK', key, group, unpack(done)) end
return states
""")

Head = Sequence[str | bytes | None]  # None: a hole
Put = tuple[Head, Words]  # a command that is done together with an acknowledgement: what many have alike, and what fills its holes, or follows it
Row = tuple[str, Sequence[Put]]
Shape = list[tuple[Head, int]]


def output(key: str, group: str, me: str, rows: Sequence[Row]) -> Command[list[int | str]]:
    """Do the commands of each row (id, commands) in one step with its acknowledgement; what became of each."""
    heads: dict[Head, str] = {}
    words: list[str | bytes] = []
    for shape, alike in alike_in(rows):
        words += (str(len(alike)), str(len(shape)))
        for head, size in shape:
            words += (heads.setdefault(head, str(len(heads) + 1)), str(size))
        for entry_id, commands in alike:
            words.append(entry_id)
            for _, rest in commands:
                words += rest
    facts = (group, me, rows[0][0], rows[-1][0], str(len(rows) + SLACK), str(len(heads)))
    beginning = [word for head in heads for word in spelled(head)]
    keys = dict.fromkeys([key, *(str(head[1]) for head in heads)])
    return ran(OUTPUT, tuple(keys), [*facts, *beginning, *words], list)


def alike_in(rows: Sequence[Row]) -> list[tuple[Shape, list[Row]]]:
    """The rows, in order, those together whose commands begin alike and are as long."""
    found: list[tuple[Shape, list[Row]]] = []
    alike: list[Row] = []
    last: Any = None  # the head of rows of one command
    size = -1
    for row in rows:
        commands = row[1]
        head, rest = commands[0] if commands else (None, ())
        if not (head is last and len(rest) == size and len(commands) == 1):  # (which most are, and that is quick)
            shape = [(head, len(rest)) for head, rest in commands]
            if not found or shape != found[-1][0]:
                alike = []
                found.append((shape, alike))
            last, size = (head, len(rest)) if len(commands) == 1 else (None, -1)
        alike.append(row)
    return found


def spelled(head: Head) -> Words:
    """A head as the script takes it."""
    holes = [str(place) for place, word in enumerate(head, 1) if word is None]
    return (str(len(head)), str(len(holes)), *("" if word is None else word for word in head), *holes)


def weight(commands: Sequence[Put]) -> int:
    """About how many bytes these commands are."""
    return sum([sum(map(len, rest)) for _, rest in commands])
