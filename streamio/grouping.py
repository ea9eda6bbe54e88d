"""Which groups a member reads: one, or several (`several`), to which more are added and from which some are removed while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from .colour import C, D, operation
from .effects import Exchange
from .group import ConsumerGroupTopic
from .membership import Membership

Groups = ConsumerGroupTopic[C, D] | Sequence[ConsumerGroupTopic[C, D]] | Mapping[ConsumerGroupTopic[C, D], int]


class Grouping(Membership[C, D]):
    """A member without its face that knows its groups."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        made: Any = cls
        if isinstance(args[0] if args else options.get("topic"), (list, tuple, Mapping)):
            from .member import ConsumerGroupMember
            from .several import SeveralTopics

            made = SeveralTopics if made is ConsumerGroupMember else cls
        new: Self = object.__new__(made)
        return new

    @property
    def groups(self) -> tuple[ConsumerGroupTopic[C, D], ...]:
        """The groups that the member reads, in the order in which they were added."""
        return (self.group,)

    @property
    def _made_of(self) -> Any:
        """What another member of the same groups is made of."""
        return self.group

    @operation
    def add_group(self, group: ConsumerGroupTopic[Any], priority: int = 0) -> Exchange[None]:
        """Read this group, too, from now on. The member must have been made of a list or a mapping: `ConsumerGroupMember([group], …)`.

        Where the member is at work, the group is reached, checked and made where it is not there, before this returns; an error of that is raised
        here, and the member goes on without it. `priority`: while a group with a higher one has entries, this one waits, however long that is;
        those of equal priority take turns.
        """
        raise TypeError(f"member {self.id!r} was made for one group: make it of a list, ConsumerGroupMember([group], …), to add others")
        yield

    @operation
    def remove_group(self, group: ConsumerGroupTopic[Any]) -> Exchange[None]:
        """Read this group no more. What runs of it finishes (`grace` seconds at most), what has not started is given back, its record goes.

        The other groups go on meanwhile. Called by a handler or a loop's body this returns at once, and the group goes when that is through.
        Where it was the last one, the member stays, reads nothing, and waits for `add_group` or `stop()`.
        """
        raise TypeError(f"member {self.id!r} was made for one group: make it of a list, ConsumerGroupMember([group], …), to remove some")
        yield
