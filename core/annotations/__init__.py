"""What people say of a study's boxes and vertebrae: kept with its history, used as truth."""
