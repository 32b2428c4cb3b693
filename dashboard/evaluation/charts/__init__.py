"""Charts of the Evaluation page; each draws a result that core has computed."""
