"""Reader study: who finds more fractures: you, your class or the model?"""

from __future__ import annotations

from dashboard.reader_study.joining import join_form
from dashboard.reader_study.lecturer import lecturer_panel
from dashboard.reader_study.place import reader_place
from dashboard.reader_study.reading import read_case
from dashboard.reader_study.waiting import own_results, wait_for_the_end
from dashboard.widgets.frame import page_header

page_header("Reader study", "Who finds more fractures: you, your class or the model?")
place = reader_place()
if place is None:
    join_form()
    lecturer_panel()
elif place.study.ended is not None:
    own_results(place)
elif (case := place.log.next_case) is None:
    wait_for_the_end(place)
else:
    read_case(place, case)
