"""The guided tour and the presenter layout."""
