"""Customers: what they are (``record``), reading, writing, searching, and all that is done with many of them."""

from crm_client_api.domain.customers.bin import delete_customer
from crm_client_api.domain.customers.read import get_customer, match_number
from crm_client_api.domain.customers.record import FIELDS, TEXTS, Customer, Match, Phone, Values
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.customers.write import add_customer, change_customer, renew_match_keys

__all__ = [
    "FIELDS",
    "TEXTS",
    "Customer",
    "Filter",
    "Match",
    "Phone",
    "Values",
    "add_customer",
    "change_customer",
    "delete_customer",
    "get_customer",
    "list_customers",
    "match_number",
    "renew_match_keys",
]
