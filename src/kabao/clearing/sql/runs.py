"""Statements about netting runs, their instructions and what they carry over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value, uuid_array
from kabao.clearing.model.runs import Carry, Run
from kabao.clearing.model.settlement import Instruction, InstructionState

_RUN: LiteralString = """
select id, "window", no, inputs, inputs_digest, result, result_digest, operation_company, run_at
from clearing.run
"""

_INSTRUCTION: LiteralString = """
select id, "window", payer_company, payee_store, payee_company, currency, amount_fen, due_on, state,
  settlement_ids from clearing.instruction
"""

_CARRY: LiteralString = """
select id, debtor, owner, company, currency, amount_fen, reason, for_date, from_run, into_run,
  noted_at from clearing.carry
"""


async def insert_run(conn: Conn, run: Run) -> None:
    """A run with the bytes of what went in and what came out."""
    await conn.execute(
        """
        insert into clearing.run (id, "window", no, inputs, inputs_digest, result, result_digest,
          operation_company, run_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            *(run.id, run.window, run.no, run.inputs, run.inputs_digest),
            *(run.result, run.result_digest, run.operation_company, run.run_at),
        ],
    )


async def runs(conn: Conn, window: str) -> list[Run]:
    """Every run of a window, the provisional one first."""
    return await fetch_all(conn, Run, _RUN + 'where "window" = %s order by no', [window])


async def run(conn: Conn, ident: str) -> Run | None:
    """A run by its id."""
    return await fetch_one(conn, Run, _RUN + "where id = %s", [ident])


async def next_no(conn: Conn, window: str) -> int:
    """The number of a window's next final run."""
    last = 'select max(no) from clearing.run where "window" = %s'
    return int(await fetch_value(conn, last, [window]) or 0) + 1


async def insert_instructions(conn: Conn, run: str, instructions: Sequence[Instruction]) -> None:
    """What a run asks to be paid."""
    if not instructions:
        return
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            insert into clearing.instruction (id, run, "window", payer_company, payee_store,
              payee_company, currency, amount_fen, due_on, state, settlement_ids)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(i.id, run, i.window, i.payer_company, i.payee_store, i.payee_company),
                    *(i.currency, i.amount_fen, i.due_on, i.state),
                    uuid_array(i.settlement_ids),
                )
                for i in instructions
            ],
        )


async def instructions(conn: Conn, run: str) -> list[Instruction]:
    """What a run asked to be paid, by id."""
    rows = await fetch_all(conn, dict, _INSTRUCTION + "where run = %s order by id", [run])
    return msgspec.convert(rows, list[Instruction])


async def about(conn: Conn, run: str, settlement: str) -> list[Instruction]:
    """The instructions of a run that pay for a settlement, among others."""
    rows = await fetch_all(
        conn,
        dict,
        _INSTRUCTION + "where run = %s and %s = any(settlement_ids) order by id",
        [run, settlement],
    )
    return msgspec.convert(rows, list[Instruction])


async def due(conn: Conn, day: date) -> list[Instruction]:
    """What is to be paid by a day and was not begun, in the order it fell due."""
    rows = await fetch_all(
        conn,
        dict,
        _INSTRUCTION + "where state = 'due' and due_on <= %s order by due_on, id",
        [day],
    )
    return msgspec.convert(rows, list[Instruction])


async def set_state(
    conn: Conn, instructions: Sequence[str], was: InstructionState, becomes: InstructionState
) -> int:
    """Move instructions on; how many were in the state they should have been in."""
    done = await conn.execute(
        "update clearing.instruction set state = %s where id = any(%s::uuid[]) and state = %s",
        [becomes, uuid_array(instructions), was],
    )
    return done.rowcount


async def insert_carries(conn: Conn, carries: Sequence[Carry]) -> None:
    """What waits for the next run."""
    if not carries:
        return
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            insert into clearing.carry (id, debtor, owner, company, currency, amount_fen, reason,
              for_date, from_run, noted_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(c.id, c.debtor, c.owner, c.company, c.currency, c.amount_fen),
                    *(c.reason, c.for_date, c.from_run, c.noted_at),
                )
                for c in carries
            ],
        )


async def open_carries(conn: Conn) -> list[Carry]:
    """Everything that waits for the next run."""
    rows = await fetch_all(conn, dict, _CARRY + "where into_run is null order by id")
    return msgspec.convert(rows, list[Carry])


async def carries_into(conn: Conn, run: str) -> list[Carry]:
    """What a run took up."""
    rows = await fetch_all(conn, dict, _CARRY + "where into_run = %s order by id", [run])
    return msgspec.convert(rows, list[Carry])


async def carries_from(conn: Conn, run: str) -> list[Carry]:
    """What a run left for the next."""
    rows = await fetch_all(conn, dict, _CARRY + "where from_run = %s order by id", [run])
    return msgspec.convert(rows, list[Carry])


async def take_carries(conn: Conn, run: str, carries: Sequence[str]) -> None:
    """A run takes these up."""
    await conn.execute(
        "update clearing.carry set into_run = %s where id = any(%s::uuid[])",
        [run, uuid_array(carries)],
    )


async def adjustments(conn: Conn, day: date) -> list[Carry]:
    """What was corrected of a closed day."""
    rows = await fetch_all(
        conn,
        dict,
        _CARRY + "where reason = 'adjustment' and for_date = %s order by id",
        [day],
    )
    return msgspec.convert(rows, list[Carry])
