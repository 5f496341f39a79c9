"""The monitor's pure core: what a window of predictions and outcomes adds up to, and what follows from it.

`bins` what a version's reference looked like · `sketch` a window's mergeable state · `joined` scores against outcomes ·
`coding` state as bytes · `folding` record batches into states · `outcomes` what is known of a batch's truth ·
`quality`, `drift`, `kpi`, `experiment` figures · `window` what a closed window states.
"""
