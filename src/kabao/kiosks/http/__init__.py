"""The routes of kiosks: machines report and load; people look, credit and count."""

from kabao.kiosks.http import machines, payouts, people

ROUTES = [*machines.ROUTES, *people.ROUTES, *payouts.ROUTES]
