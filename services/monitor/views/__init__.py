"""Tables and pure folds of the monitor's further views: `references` what explanations rest on · `archive` where each
prediction lies · `alerts` what was raised, and whom it was told."""
