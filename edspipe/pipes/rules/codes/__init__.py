"""Dictionaries and codes: drugs, TNM, ADICAP, ICD-10, UMLS, COVID-19."""
