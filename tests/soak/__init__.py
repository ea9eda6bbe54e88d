"""The soak: processes of both colours under faults, and a checker that says from their logs whether anything was lost or run twice."""
