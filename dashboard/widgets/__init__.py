"""What several pages show: choosers, tables, notices, colours and the slice viewer."""
