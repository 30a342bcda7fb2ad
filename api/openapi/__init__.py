"""The contract as a document: generated from the models of bodies and answers, and served."""
