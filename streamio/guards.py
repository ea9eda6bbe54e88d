"""Guards of handlers whose effect must not be had twice: a key for each handler and each of the user's keys, and the Lua that looks at it and sets it
in one step.

A guard's value is a state and the id of the entry that brought it there: `begun 5-1`, `done 5-1`, `doubt 5-1`. What the handler returned follows,
where it is kept: `done 5-1 {"paid":12}`. The guard goes when its window is over.
"""

from __future__ import annotations

import json
from typing import Any

from .commands import Command, milliseconds, ran
from .effects import Words
from .scripts import Script

GO, DONE, BUSY, DOUBT = "go", "done", "busy", "doubt"
LONGEST = 10_000  # bytes of a result that is kept
TUPLE = "()"  # the one name in an object that stands for a tuple, which JSON does not know

# keys: guard, stream; args: id of the entry, which delivery of it this is, '1' where a doubt does not matter, window (ms), group, lease (ms)
# -> what to do: 'go' (it is begun now), 'done' (another delivery, or another entry with this key, was through; what it came to follows), 'busy'
# (another entry with this key is being handled) or 'doubt' (a delivery began and nobody knows what became of it: also one of another entry, where
# that is pending no more and began longer than a lease ago). A first delivery of the entry that
# is in doubt was asked for by somebody who redrove it.
BEGIN = Script("""
local kind = redis.call('TYPE', KEYS[1])
kind = kind.ok or kind
if kind ~= 'none' and kind ~= 'string' then
  return redis.error_reply('WRONGTYPE the key ' .. KEYS[1] .. ' guards a handler and holds a ' .. kind)
end
local state, id, kept = string.match(redis.call('GET', KEYS[1]) or '', '^(%a+) (%S+) ?(.*)$')
if state == 'done' then return 'done ' .. kept end
if state == 'begun' and id ~= ARGV[1] then
  local age = ARGV[4] - redis.call('PTTL', KEYS[1])
  if age < tonumber(ARGV[6]) or #redis.call('XPENDING', KEYS[2], ARGV[5], id, id, 1) > 0 then return 'busy' end
end
local is_doubtful = state == 'begun' or (state == 'doubt' and not (id == ARGV[1] and ARGV[2] == '1'))
if is_doubtful and ARGV[3] ~= '1' then
  redis.call('SET', KEYS[1], 'doubt ' .. id, 'PX', ARGV[4])
  return 'doubt'
end
redis.call('SET', KEYS[1], 'begun ' .. ARGV[1], 'PX', ARGV[4])
return 'go'
""")

# keys: guard; args: id of the entry, window (ms), what is kept of the result -> 1 where the guard is done now, 0 where it says something else by now,
# as where another member was told of the doubt. A guard that is gone (its window was shorter than the handler) is set: the effect was had.
FINISH = Script("""
local value = redis.call('GET', KEYS[1])
if value and value ~= 'begun ' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'done ' .. ARGV[1] .. (ARGV[3] == '' and '' or ' ' .. ARGV[3]), 'PX', ARGV[2])
return 1
""")

# keys: guard; args: id of the entry -> 1 where it had begun for this entry, and is taken back
TAKE_BACK = Script("""
if redis.call('GET', KEYS[1]) ~= 'begun ' .. ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")


def begin(keys: Words, group: str, lease: float, entry_id: str, delivery: int, runs_in_doubt: bool, window: float) -> Command[tuple[str, Any]]:
    """Look whether a handler may begin, and note that it does; what to do, and what it came to where it was through before. `keys`: guard, stream."""
    args = (entry_id, str(delivery), "1" if runs_in_doubt else "", milliseconds(window), group, milliseconds(lease))
    return ran(BEGIN, keys, args, told)


def take_back(guard: str, entry_id: str) -> Command[int]:
    """The handler failed: whoever comes next may begin."""
    return ran(TAKE_BACK, (guard,), (entry_id,), int)


def finish(guard: str, entry_id: str, result: Any, window: float) -> Command[int]:
    """The handler is through, and came to this."""
    return ran(FINISH, (guard,), (entry_id, milliseconds(window), kept(result)), int)


def told(reply: str) -> tuple[str, Any]:
    """What to do, and the result that was kept."""
    state, _, text = reply.partition(" ")
    return state, json.loads(text, object_hook=untagged) if text else None


def kept(result: Any) -> str:
    """The result as JSON, for others with its key; empty where it is None, too long, or no JSON."""
    if result is None:
        return ""
    try:
        text = json.dumps(tagged(result), ensure_ascii=False, separators=(",", ":"))
        return text if len(text.encode()) <= LONGEST else ""
    except (TypeError, ValueError, RecursionError):  # no JSON
        return ""


def tagged(value: Any) -> Any:
    """The value with its tuples told apart from lists: a tuple is one value in a pipe, and a list is several."""
    if isinstance(value, tuple):
        return {TUPLE: [tagged(each) for each in value]}
    if isinstance(value, list):
        return [tagged(each) for each in value]
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        raise ValueError(f"{TUPLE!r} is the name of a tuple")
    return {name: tagged(each) for name, each in value.items()}


def untagged(found: dict[str, Any]) -> Any:
    """An object, or the tuple that it stands for."""
    return tuple(found[TUPLE]) if TUPLE in found else found
