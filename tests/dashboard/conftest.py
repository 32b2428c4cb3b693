from tests.dashboard.fixtures import at_work, workplace

__all__ = ["at_work", "workplace"]
