"""`topup`: what one is. `loading`, `undoing`: cash comes and goes. `crediting`: money of a
channel comes. `refunding`: it goes back. `bonus`: what is given on top. `limits`: how much.
"""

from kabao.topups.model.loading import Load as Load
from kabao.topups.model.loading import Loading as Loading
from kabao.topups.model.topup import NOT_ACCEPTED as NOT_ACCEPTED
from kabao.topups.model.topup import REFUSALS as REFUSALS
from kabao.topups.model.topup import Refused as Refused
from kabao.topups.model.topup import Status as Status
from kabao.topups.model.topup import TopUp as TopUp
from kabao.topups.model.undoing import Known as Known
from kabao.topups.model.undoing import Void as Void
