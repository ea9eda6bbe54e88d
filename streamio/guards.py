"""Guards of handlers whose effect must not be had twice: a key for each of the user's keys, and the Lua that looks at it and sets it in one step.

A guard's value is a state and the id of the entry that brought it there: `begun 5-1`, `done 5-1`, `doubt 5-1`. It goes when its window is over.
"""

from __future__ import annotations

from .commands import Command, milliseconds, ran
from .scripts import Script

GO, DONE, BUSY, DOUBT = "go", "done", "busy", "doubt"

# keys: guard; args: id of the entry, which delivery of it this is, '1' where a doubt does not matter, window (ms)
# -> what to do: 'go' (it is begun now), 'done' (another delivery, or another entry with this key, was through), 'busy' (another entry with this key
# is being handled) or 'doubt' (a delivery began and nobody knows what became of it). A first delivery of the entry that is in doubt was asked for by
# somebody who redrove it.
BEGIN = Script("""
local kind = redis.call('TYPE', KEYS[1])
kind = kind.ok or kind
if kind ~= 'none' and kind ~= 'string' then
  return redis.error_reply('WRONGTYPE the key ' .. KEYS[1] .. ' guards a handler and holds a ' .. kind)
end
local state, id = string.match(redis.call('GET', KEYS[1]) or '', '^(%a+) (.*)$')
if state == 'done' then return 'done' end
if state == 'begun' and id ~= ARGV[1] then return 'busy' end
local is_doubtful = state == 'begun' or (state == 'doubt' and not (id == ARGV[1] and ARGV[2] == '1'))
if is_doubtful and ARGV[3] ~= '1' then
  redis.call('SET', KEYS[1], 'doubt ' .. id, 'PX', ARGV[4])
  return 'doubt'
end
redis.call('SET', KEYS[1], 'begun ' .. ARGV[1], 'PX', ARGV[4])
return 'go'
""")

# keys: guard; args: id of the entry -> 1 where it had begun for this entry, and is taken back
TAKE_BACK = Script("""
if redis.call('GET', KEYS[1]) ~= 'begun ' .. ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")


def begin(guard: str, entry_id: str, delivery: int, runs_in_doubt: bool, window: float) -> Command[str]:
    """Look whether a handler may begin, and note that it does."""
    return ran(BEGIN, (guard,), (entry_id, str(delivery), "1" if runs_in_doubt else "", milliseconds(window)), str)


def take_back(guard: str, entry_id: str) -> Command[int]:
    """The handler failed: whoever comes next may begin."""
    return ran(TAKE_BACK, (guard,), (entry_id,), int)


def finish(guard: str, entry_id: str, window: float) -> Command[str]:
    """The handler is through. Done together with the acknowledgement."""
    return Command(("SET", guard, f"done {entry_id}", "PX", milliseconds(window)), str)
