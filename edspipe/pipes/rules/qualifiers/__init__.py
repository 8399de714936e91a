"""Qualifiers: is a finding negated, supposed, a relative's, past, or only reported?"""
