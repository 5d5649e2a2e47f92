"""The outside world behind `services.session.ports`."""
