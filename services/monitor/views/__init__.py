"""Tables and pure folds of the monitor's further views: `references` what explanations rest on · `archive` where each
prediction lies · `inputs` what was stated of a window's inputs · `alerts` what was raised, and whom it was told."""
