"""The Dataset page: what the set holds, its studies, and making synthetic ones."""
