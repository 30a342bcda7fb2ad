"""Running Sentiq in containers and clusters: images, nginx, Redis, Flower, monitoring, Kubernetes."""
