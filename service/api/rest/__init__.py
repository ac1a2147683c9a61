"""REST, one file per noun. Each file has `routes`, an `APIRouter` whose paths are written out in full."""
