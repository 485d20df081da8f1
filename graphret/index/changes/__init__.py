"""Changes of an index that is there: films come and go, labels are corrected, the whole is built again."""

from graphret.index.changes.adding import add_films
from graphret.index.changes.change import Change
from graphret.index.changes.labelling import update_labels
from graphret.index.changes.purging import purge_patient
from graphret.index.changes.rebuilding import rebuild
from graphret.index.changes.removing import remove_films
from graphret.index.changes.watching import watch_folder

__all__ = ["Change", "add_films", "purge_patient", "rebuild", "remove_films", "update_labels", "watch_folder"]
