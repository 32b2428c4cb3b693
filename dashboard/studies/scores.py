"""The reading of a study, by the name under which pages and components know it."""

from core.inference.study_scores import PRESENT, Calls, StudyReading, call, read_study

__all__ = ["PRESENT", "Calls", "StudyReading", "call", "read_study"]
