"""The guided tour and the presenter view."""
