"""The peer of the deletion: SQLAlchemy's cascade, which loads what it deletes."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Text, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    users: Mapped[list[User]] = relationship(cascade="all, delete-orphan")


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    enrolments: Mapped[list[Enrolment]] = relationship(cascade="all, delete-orphan")


class Enrolment(Base):
    __tablename__ = "enrolments"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    results: Mapped[list[Result]] = relationship(cascade="all, delete-orphan")


class Result(Base):
    __tablename__ = "results"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("enrolments.id"))


def delete(dsn: str) -> dict[str, Any]:
    """Delete the customer's object and let the cascades do the rest."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        rows = _count(session)
        began = perf_counter()
        session.delete(session.get_one(Customer, "acme"))
        session.commit()
        seconds = perf_counter() - began
        return {"seconds": seconds, "rows": rows - _count(session)}


def _count(session: Session) -> int:
    tables = ("customers", "users", "enrolments", "results")
    return sum(session.execute(text(f"select count(*) from {table}")).scalar_one() for table in tables)
