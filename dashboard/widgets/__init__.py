"""What several pages show: pickers, tables, notices, colours and the slice viewer."""
