"""Is it a leak? Looks at what each place of birth holds, again and again, and a verdict that can be checked.

`look` is what is seen at one moment, `looking` sees it, `history` remembers what was seen while nobody asked,
`trend` knows a rise from noise, `verdict` judges, `suspects` finds out which containers grew meanwhile,
`evidence` puts both together in a `leak`, and `report` tells. Only `looking` and `suspects` touch the scheduler
and the heap.
"""
