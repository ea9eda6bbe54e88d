"""Looking at streams and their groups from outside: samples, rates, a diagnosis, and a history for plots."""

from .history import History
from .observer import Observer
from .views import ConsumerView, GroupView, PendingView, Sample, TopicView, as_json

__all__ = ["ConsumerView", "GroupView", "History", "Observer", "PendingView", "Sample", "TopicView", "as_json"]
