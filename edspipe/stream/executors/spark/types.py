"""The types of Spark and of Arrow, in both directions."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from edspipe.errors import DataError
from edspipe.optional import require

_SCALARS = {
    "StringType": pa.string(),
    "BinaryType": pa.binary(),
    "BooleanType": pa.bool_(),
    "ByteType": pa.int8(),
    "ShortType": pa.int16(),
    "IntegerType": pa.int32(),
    "LongType": pa.int64(),
    "FloatType": pa.float32(),
    "DoubleType": pa.float64(),
    "DateType": pa.date32(),
    "TimestampType": pa.timestamp("us", tz="UTC"),
    "TimestampNTZType": pa.timestamp("us"),
}
_NAMES = {
    "string": "string",
    "large_string": "string",
    "binary": "binary",
    "large_binary": "binary",
    "bool": "boolean",
    "int64": "bigint",
    "int32": "int",
    "int16": "smallint",
    "int8": "tinyint",
    "double": "double",
    "float": "float",
    "date32[day]": "date",
}


def arrow_type(spark_type: Any) -> pa.DataType:
    """Return the Arrow type of a Spark type.

    Raises:
        DataError: Records cannot hold this type.
    """
    name = type(spark_type).__name__
    if name in _SCALARS:
        return _SCALARS[name]
    if name == "DecimalType":
        return pa.decimal128(spark_type.precision, spark_type.scale)
    if name == "ArrayType":
        return pa.list_(arrow_type(spark_type.elementType))
    if name == "MapType":
        return pa.map_(arrow_type(spark_type.keyType), arrow_type(spark_type.valueType))
    if name == "StructType":
        return pa.struct([(f.name, arrow_type(f.dataType)) for f in spark_type.fields])
    raise DataError(f"a column of type {spark_type.simpleString()} cannot be written from records")


def parse_schema(session: Any, schema: Any) -> Any:
    """Return a schema as a StructType.

    Args:
        session: A session.
        schema: A StructType, `"id string, n int"`, or a schema of Arrow.

    Raises:
        DataError: A column of Arrow has no type.
    """
    types = require("pyspark.sql.types", "spark", "Spark")
    if isinstance(schema, types.StructType):
        return schema
    ddl = to_ddl(schema) if isinstance(schema, pa.Schema) else schema
    return session.createDataFrame([], ddl).schema


def to_ddl(schema: pa.Schema) -> str:
    """Return a schema of Arrow as Spark writes it.

    Raises:
        DataError: The type of a column is not known.
    """
    unknown: list[str] = []
    ddl = ", ".join(f"`{field.name}` {_ddl(field.type, field.name, unknown)}" for field in schema)
    if unknown or not ddl:
        raise DataError(
            f"the type of {', '.join(unknown) or 'the columns'} cannot be told from the first "
            "records, in which there is no value; pass schema=, e.g. "
            f"schema='{ddl or 'note_id string'}'"
        )
    return ddl


def _ddl(type_: pa.DataType, path: str, unknown: list[str]) -> str:
    if pa.types.is_struct(type_) and type_.num_fields:
        inner = [f"`{f.name}`: {_ddl(f.type, f'{path}.{f.name}', unknown)}" for f in type_]
        return f"struct<{', '.join(inner)}>"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"array<{_ddl(type_.value_type, path, unknown)}>"
    if pa.types.is_map(type_):
        key, item = (_ddl(t, path, unknown) for t in (type_.key_type, type_.item_type))
        return f"map<{key}, {item}>"
    if pa.types.is_timestamp(type_):
        return "timestamp_ntz" if type_.tz is None else "timestamp"
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision}, {type_.scale})"
    if str(type_) not in _NAMES:
        unknown.append(path)
    return _NAMES.get(str(type_), "string")
