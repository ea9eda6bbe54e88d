"""What streamio tells of itself: `opentelemetry` (traces and metrics), `prometheus`, `logs`. Each is imported by itself, where it is used."""
